"""What a sandbox may be given at birth, and what is taken at its end; under the real walls."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import cannot

import belljar
from belljar.errors import BelljarError, PolicyError, TemplateEnded
from belljar.sandbox.live.collecting import check, collect


def test_modules_input_and_arguments_are_there_from_birth() -> None:
    modules = {"mine": "import math\ndef up(x):\n    return math.ceil(x)", "a.b": "name = __name__"}
    with belljar.Sandbox(
        ledger="none", modules=modules, input="one\ntwo\n", argv=["x", "--y"]
    ) as box:
        assert box.call("mine:up", 1.5) == 2
        assert box.eval("__import__('a.b').b.name") == "a.b"
        assert box.run("import sys; sys.stdin.read(), sys.argv[-1]").value == ("one\ntwo\n", "--y")
        assert "[Errno" in str(box.run("import os; os.write(0, b'x')").error)
        failed = box.run("import mine\nmine.up('x')").error
        assert failed is not None
        assert "return math.ceil(x)" in failed.traceback


def test_a_module_that_is_no_text_is_refused_before_anything_runs() -> None:
    with pytest.raises(BelljarError, match="a text"):
        belljar.Sandbox(ledger="none", modules={"m": b"x"})  # type: ignore[dict-item]
    with pytest.raises(BelljarError, match="not the name"):
        belljar.Sandbox(ledger="none", modules={"m-n": ""})


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"modules": ["m"]}, "modules= is a dict of name and source, not list"),
        ({"input": 5}, "input= is text or bytes, not int"),
        ({"cwd": "/there/is/none"}, "cwd=/there/is/none: there is no such directory"),
        ({"policy": {"read": ["/srv"]}}, "policy=: expected a Policy or the path of a policy file"),
    ],
)
def test_what_is_given_in_a_wrong_shape_is_told_in_one_line(
    given: dict[str, Any], line: str
) -> None:
    with pytest.raises(BelljarError, match=line) as caught:
        belljar.Sandbox(ledger="none", **given)
    assert "\n" not in str(caught.value)


def test_a_policy_may_be_given_by_its_file(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "in.txt").write_text("granted")
    file = tmp_path / "policy.toml"
    file.write_text('schema = 1\n[files]\nread = ["in.txt"]\n[record]\nledger = "none"\n')
    source = f"open({str(tmp_path / 'in.txt')!r}).read()"
    assert belljar.run(source, policy=file, check=True).value == "granted"


def test_a_timeout_is_a_number_and_the_guest_outlives_the_mistake() -> None:
    with belljar.Sandbox(ledger="none") as box:
        with pytest.raises(TypeError, match="timeout= is a number of seconds, not str"):
            box.eval("1", timeout="1s")  # type: ignore[arg-type]
        assert box.eval("1", timeout=5) == 1


def test_output_is_told_as_it_comes_and_files_are_collected(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "secret.csv").write_text("host's")
    heard: list[tuple[int, bytes]] = []
    with belljar.Sandbox(
        ledger="none", write=[str(out)], cwd=tmp_path, collect=["out/*.csv"],
        on_output=lambda number, data: heard.append((number, data)),
    ) as box:  # fmt: skip
        box.run(
            "import os\n"
            "print('here', flush=True)\n"
            "open('out/a.csv', 'w').write('1,2')\n"
            "open('out/a.txt', 'w').write('no')\n"
            "os.symlink('../secret.csv', 'out/link.csv')",
            check=True,
        )
        assert b"".join(data for number, data in heard if number == 1) == b"here\n"
        with pytest.raises(BelljarError, match="close it first"):
            assert box.collected
    assert box.collected == {"out/a.csv": b"1,2"}


def test_collecting_follows_no_link_and_has_bounds(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").write_bytes(b"12345")
    (tmp_path / "real" / "b").write_bytes(b"678")
    os.symlink("real", tmp_path / "linked")
    os.symlink("/etc", tmp_path / "etc")
    os.mkfifo(tmp_path / "real" / "pipe")
    everything = check(["*/*"])
    assert collect(str(tmp_path), everything) == {"real/a": b"12345", "real/b": b"678"}
    with pytest.raises(BelljarError, match="more than"):
        collect(str(tmp_path), everything, most_files=1)
    with pytest.raises(BelljarError, match="more than"):
        collect(str(tmp_path), everything, most_bytes=7)
    assert len(collect(str(tmp_path), everything, most_bytes=8)) == 2
    for wrong in ("/etc/*", "../x", "", "a/../../b"):
        with pytest.raises(BelljarError, match="cannot collect"):
            check([wrong])


@pytest.mark.parametrize("engine", ["cold", None])
def test_a_guest_without_c_modules_still_speaks_with_its_host(engine: str | None) -> None:
    with belljar.Sandbox(ledger="none", extensions="named", engine=engine) as box:
        assert box.eval("[1.5, 'text', {2: b'x'}]") == [1.5, "text", {2: b"x"}]
        if "zlib" not in sys.builtin_module_names:  # some builds have it inside
            assert box.run("import zlib").error.type_name == "ImportError"


@pytest.mark.parametrize("engine", ["cold", None])
def test_a_guest_that_ends_before_it_listens_is_told_in_one_line(engine: str | None) -> None:
    if "_struct" in sys.builtin_module_names:
        cannot("this interpreter has _struct built in, and the guest starts without a file of it")
    # at once: its traceback is longer than a pipe, and who does not read it waits for the clock
    with pytest.raises(belljar.BelljarError, match=r"signal|exit status"):
        belljar.Sandbox(ledger="none", block=["_struct", "struct"], engine=engine)


def test_what_a_template_needed_is_blocked_for_none_and_gated_for_all() -> None:
    """What a cold guest may not import is not handed to a forked one by way of the template."""
    with belljar.Template(modules=["ctypes"]) as template:
        with pytest.raises(PolicyError, match="has imported ctypes"):
            belljar.Sandbox(ledger="none", template=template, block=["ctypes"])
        with pytest.raises(PolicyError, match="has imported struct"):
            belljar.Sandbox(ledger="none", template=template, block=["struct"])  # by ctypes
        with belljar.Sandbox(ledger="none", template=template) as box:
            assert box.run("import ctypes").error.type_name == "ImportError"
            row = next(row for row in box.status.protections if row.name == "extensions")
            assert row.level == "partial"  # it lies in sys.modules
            assert "has imported _ctypes, ctypes" in row.reason
        with belljar.Sandbox(ledger="none", template=template, import_=["ctypes"]) as box:
            assert box.eval("__import__('ctypes').sizeof(__import__('ctypes').c_int)") == 4
            assert box.status.level("extensions") == "full"


def test_a_block_of_what_is_warm_already_is_kept_by_a_cold_guest() -> None:
    with belljar.Sandbox(ledger="none", block=["contextlib"]) as box:
        assert "contextlib" not in box.eval("list(__import__('sys').modules)")
        assert box.run("import contextlib").error.type_name == "ImportError"
    with pytest.raises(belljar.BelljarError, match="the policy blocks"):
        belljar.Sandbox(ledger="none", block=["contextlib"], engine="template")


def test_what_contradicts_itself_or_is_over_is_refused() -> None:
    with pytest.raises(BelljarError, match="leave out one"):
        belljar.Sandbox(ledger="none", input="x", stdin="/dev/null")
    template = belljar.Template().start()
    template.close()
    with pytest.raises(TemplateEnded, match="closed"):
        belljar.Sandbox(ledger="none", template=template)
