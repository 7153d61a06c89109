"""`belljar log`: whole outputs, exit statuses, and nothing from a guest unescaped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from belljar.cli.log import main
from belljar.ledger import DECISIONS, END, EVENTS, START, Writer
from belljar.ledger.reader import read

from .conftest import OTHER, RUN, fill, frame, packed

NASTY = "\x1b]0;owned\x07\r\n\x9b31m\u202e\u200b\ud800\x00\x7f'\"<b>"
UNSIGNED = "unsigned: {} records; no checkpoint yet: `belljar log checkpoint` makes one\n"


def run(argv: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    status = main(argv)
    out, err = capsys.readouterr()
    return status, out, err


def test_verify_says_whole(ledger: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", ledger], capsys) == (
        0,
        "whole: 4 records, 6 entries, 1 run\n" + UNSIGNED.format(4),
        "",
    )


def test_verify_tells_torn_unfinished_and_recovered(
    ledger: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Writer(ledger) as writer:
        writer.append([(START, 1, packed({}))], OTHER)
    end = os.path.getsize(writer.path)
    with open(writer.path, "ab") as file:
        file.write(b"\xb1LJ")
    status, out, _err = run(["verify", ledger], capsys)
    assert status == 0
    assert out == (
        "whole: 5 records, 7 entries, 2 runs\n"
        + UNSIGNED.format(5)
        + f"torn: 3 bytes from offset {end} (its header is cut short); "
        "the next run keeps them in a side file\n"
        f"unfinished: run {OTHER.hex()} is still going on or was killed\n"
    )
    with Writer(ledger):
        pass
    status, out, _err = run(["verify", ledger], capsys)
    assert status == 0
    assert "recovered: 1 torn end of the past, kept in side files\n" in out
    status, out, _err = run(["verify", "--json", ledger], capsys)
    found = json.loads(out)
    assert set(found) >= {
        "whole", "records", "entries", "runs", "complete", "torn", "why", "unfinished",
        "recovered", "head", "books", "pruned", "again", "signed", "unsigned", "checkpoint",
        "epochs", "trust", "pinned", "witnesses", "gone", "clerk",
    }  # fmt: skip
    assert (found["whole"], found["unfinished"]) == (True, [OTHER.hex()])


def test_verify_names_the_flaw_and_says_no(ledger: str, capsys: pytest.CaptureFixture[str]) -> None:
    offset = next(record.offset for record in read(ledger, 2))
    path = Path(ledger) / "ledger.blj"
    data = bytearray(path.read_bytes())
    data[offset + 70] ^= 1
    path.write_bytes(data)
    what = f"record 2 (entry 2) at offset {offset} does not verify"
    assert run(["verify", ledger], capsys) == (1, f"broken: {what}\n", "")
    status, out, _err = run(["verify", ledger, "--json"], capsys)
    assert (status, json.loads(out)) == (1, {"whole": False, "error": what, "offset": offset})


def test_tail_gives_a_line_an_entry(ledger: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(["tail", "-n", "5", ledger], capsys)
    assert (status, err) == (0, "")
    when = "2001-09-09T01:46:40.000Z 00010203"
    assert out == (
        f"#2 {when} 77 open read /etc/passwd\n"
        f"#3 {when} 77 import import x\n"
        f"#4 {when} - deny[read] /a\n"
        f"#5 {when} - allow\n"
        f"#6 {when} - end exit=0 ended_by=exit\n"
    )
    status, out, _err = run(["tail", "-n", "99", ledger], capsys)
    assert out.startswith(f"#1 {when} - start job.py x\n")
    assert out.count("\n") == 6


def test_tail_as_json_has_stable_keys(ledger: str, capsys: pytest.CaptureFixture[str]) -> None:
    _status, out, _err = run(["tail", "--json", ledger], capsys)
    found = [json.loads(line) for line in out.splitlines()]
    assert [one["entry"] for one in found] == [1, 2, 3, 4, 5, 6]
    assert list(found[0]) == ["entry", "kind", "time", "recorded", "run", "data"]
    assert list(found[1]) == [
        "entry", "kind", "time", "recorded", "run", "pid", "thread", "seq", "data",
    ]  # fmt: skip
    assert found[1]["run"] == RUN.hex()
    assert found[1]["data"]["name"] == "open"


def test_show_gives_every_field(ledger: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _err = run(["show", "#6", ledger], capsys)
    assert (status, out) == (
        0,
        "entry     #6\nkind      end\ntime      2001-09-09T01:46:40.000Z\n"
        "recorded  2001-09-09T01:46:40.000Z\n"
        f"run       {RUN.hex()}\nexit      0\nended_by  exit\n",
    )
    status, out, _err = run(["show", "--json", "6", ledger], capsys)
    assert json.loads(out)["data"] == {"exit": 0, "ended_by": "exit"}
    status, out, err = run(["show", "7", ledger], capsys)
    assert (status, out) == (1, "")
    assert err.endswith("has no entry #7\n")


def test_nothing_from_a_guest_reaches_the_terminal_unescaped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    safe = NASTY.replace("\ud800", "")
    with Writer(str(tmp_path)) as writer:
        writer.append(
            [
                (START, 1, packed({"argv": [safe], "guest": safe, safe: safe, "time": safe})),
                (EVENTS, 2, frame(safe, safe) + frame("open", safe, "r", 0)),
                (EVENTS, 1, NASTY.encode("utf-8", "surrogatepass")),
                (DECISIONS, 1, packed([{"verdict": safe, "target": safe, "because": safe}])),
                (END, 1, packed({safe: safe})),
            ],
            RUN,
        )
    outputs = [run([*c, str(tmp_path)], capsys)[1] for c in (["tail"], ["tail", "--json"])]
    for number in range(1, 7):
        outputs.append(run(["show", str(number), str(tmp_path)], capsys)[1])
        outputs.append(run(["show", "--json", str(number), str(tmp_path)], capsys)[1])
    for text in outputs:
        assert text
        assert not set(text) & (set(NASTY) - set("'\"<b>;]0owned31m\n")), text
    assert outputs[0].count("\n") == outputs[1].count("\n") == 6
    assert "data.time" in outputs[2]


def test_follow_prints_what_comes_until_the_reader_has_gone(ledger: str) -> None:
    code = "import sys; from belljar.cli.log import main; sys.exit(main(sys.argv[1:]))"
    argv = [sys.executable, "-c", code, "tail", "-f", "-n", "1", ledger]
    with subprocess.Popen(
        argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline().startswith("#6 ")
        with Writer(ledger) as writer:
            fill(writer, OTHER)
        assert [child.stdout.readline().split()[0] for _ in range(6)] == [
            "#7", "#8", "#9", "#10", "#11", "#12",
        ]  # fmt: skip
        child.stdout.close()
        with Writer(ledger) as writer:
            fill(writer)
        assert child.wait(10) == 0
        assert child.stderr.read() == ""


@pytest.mark.parametrize("argv", [[], ["nonsense"], ["show"], ["show", "x"], ["tail", "-n", "-1"]])
def test_a_wrong_command_line_is_two(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(argv, capsys)
    assert (status, out) == (2, "")
    assert "usage: belljar log" in err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["show", "abc"], "expected the number of an entry, such as 412 or '#412', got 'abc'"),
        (["show", "\x1b[2J"], "got '"),
        (["tail", "-n", "many"], "expected how many entries, got 'many'"),
    ],
)
def test_what_is_no_number_is_told_as_such(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(argv, capsys)
    assert (status, out) == (2, "")
    assert said in err
    assert "_number" not in err
    assert "\x1b" not in err


def test_the_default_directory_is_used_and_its_absence_is_one(
    ledger: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for command in (["verify"], ["tail"], ["show", "1"]):
        status, out, err = run(command, capsys)
        assert (status, out) == (1, "")
        assert err.startswith("belljar: cannot read the ledger ")
    (tmp_path / "state" / "belljar").mkdir(parents=True)
    os.rename(ledger, tmp_path / "state" / "belljar" / "ledger")
    assert run(["verify"], capsys)[0] == 0
