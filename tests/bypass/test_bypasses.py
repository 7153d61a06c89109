"""The published bypasses of audit hooks are run for real; the record shows them all the same."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from bypasses import BYPASSES, Bypass, rows, score

HERE = Path(__file__).parent
WATCH = (sys.executable, "-c", "import sys; from belljar.cli import main; sys.exit(main())")
APPLY = [b for b in BYPASSES if b.since <= sys.version_info[:2] < b.before]
BY_ID = {b.id: b for b in BYPASSES}
each = pytest.mark.parametrize("bypass", APPLY, ids=[b.id for b in APPLY])


class Record:
    def __init__(self, lines: list[dict], proof: Path) -> None:
        self._proof = str(proof)
        self.events = [x for x in lines if x["kind"] == "event"]
        self.findings = [x["finding"] for x in lines if x["kind"] == "finding"]
        self.findings += [f"alert {x['rule']}" for x in lines if x["kind"] == "alert"]
        self.lines = lines

    def has(self, wanted: tuple[str, str]) -> bool:
        """Is there an event of the name with one of the texts in its arguments?"""
        texts = wanted[1].replace("PROOF", re.escape(self._proof))
        return any(
            e["name"] == wanted[0] and re.search(texts, _plain(e["args"])) for e in self.events
        )


def _plain(args: object) -> str:
    """The arguments as text, bytes as what they spell."""
    if isinstance(args, dict) and set(args) == {"bytes"}:
        return repr(bytes.fromhex(args["bytes"]).decode("utf-8", "replace"))
    return f"({', '.join(map(_plain, args))})" if isinstance(args, list) else repr(args)


def attack(name: str) -> str:
    return str(HERE / "attacks" / f"{name}.py")


def watch(name: str, tmp_path: Path, *options: str, status: int | None = 0) -> Record:
    out, proof = tmp_path / "out.json", tmp_path / "proof"
    words = ["watch", "--json", "--to", str(out), "--ledger", "none", "--python", sys.executable]
    done = subprocess.run(
        [*WATCH, *words, *options, attack(name), str(proof)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert status is None or done.returncode == status, done.stderr
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    return Record(lines, proof)


@each
def test_the_attack_works(bypass: Bypass, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    subprocess.run([sys.executable, attack(bypass.id), str(proof)], check=True, timeout=60)
    assert proof.exists()


@pytest.mark.parametrize("bypass", [b for b in APPLY if b.deceives], ids=lambda b: b.id)
def test_it_deceives_a_hook_in_python(bypass: Bypass, tmp_path: Path) -> None:
    log, proof = tmp_path / "log", tmp_path / "proof"
    words = [str(HERE / "hooked.py"), str(log), attack(bypass.id), str(proof)]
    subprocess.run([sys.executable, *words], check=True, timeout=60)
    assert proof.exists()
    heard = log.read_text()
    assert "import (" in heard or "exec (" in heard or "compile (" in heard  # it did hear
    calls = [
        line for line in heard.splitlines() if not line.startswith(("subprocess.Popen", "os.exec"))
    ]
    assert not [x for x in calls if bypass.deceives.replace("PROOF", str(proof)) in x]


@each
def test_the_record_shows_the_attempt(bypass: Bypass, tmp_path: Path) -> None:
    found = watch(bypass.id, tmp_path)
    assert (tmp_path / "proof").exists()
    assert found.has(bypass.attempt)
    if bypass.deed is not None:
        assert found.has(bypass.deed)
    if bypass.unheard is not None:  # the attack worked: what Python says of it is not there
        assert not found.has(bypass.unheard)
    assert set(bypass.findings) <= set(found.findings)
    if "silenced" not in bypass.findings:
        assert "silenced" not in found.findings
    assert not {"gap", "order", "malformed", "vanished", "running"} & set(found.findings)


RULE = """schema = 1
[[rule]]
id = "no-proof"
text = "it must not be made"
match.event = "open"
match.target = "*/proof"
then = "{then}"
"""


def test_a_refusal_that_is_swallowed_is_in_the_record_and_so_is_what_follows(tmp_path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(RULE.format(then="deny"))
    found = watch("except-base-exception", tmp_path, "--rules", str(rules))
    assert "alert no-proof" in found.findings
    assert found.has(("os.mkdir", "PROOF"))
    assert (tmp_path / "proof").is_dir()  # it went on another way


def test_a_rule_that_kills_leaves_nothing_to_swallow(tmp_path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(RULE.format(then="kill"))
    found = watch("except-base-exception", tmp_path, "--rules", str(rules), status=137)
    assert "alert no-proof" in found.findings
    assert "vanished" not in found.findings  # it was told to end
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize("name", ["direct-system-call", "zero-the-hook-list"])
def test_the_cross_check_sees_what_native_code_does(name: str, tmp_path: Path) -> None:
    found = watch(name, tmp_path, "--cross-check")
    told = [x for x in found.lines if x.get("target") == str(tmp_path / "proof")]
    assert "unexplained" in {x["kind"] for x in told}


def test_the_page_is_what_the_tests_prove() -> None:
    page = (HERE.parents[1] / "docs" / "bypasses.md").read_text("utf-8")
    assert "\n".join(rows()) in page, "python tests/bypass/bypasses.py prints the table"
    assert score() in page.replace("\n", " ")
    assert {b.number for b in BYPASSES} == set(range(1, 18))
    files = {f.removesuffix(".py") for f in os.listdir(HERE / "attacks") if f.endswith(".py")}
    assert files - {"memory"} == set(BY_ID)
