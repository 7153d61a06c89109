"""`belljar log export`: all of it, or the part asked for, and nothing that fools who reads it."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
from pathlib import Path

import duckdb
import pytest

from belljar.cli.log import main
from belljar.cli.log_export import moment
from belljar.errors import LedgerError
from belljar.ledger import Writer
from belljar.ledger.entries import expand
from belljar.ledger.export.write import FORMATS, Selection, entries, line, parquet, to_file
from belljar.ledger.reader import read

from .conftest import OTHER, RUN
from .everything import LONG, NASTY, make

TIME = 10**18


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = str(tmp_path_factory.mktemp("ledgers") / "ledger")
    make(directory)
    return directory


def run(argv: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    status = main(argv)
    out, err = capsys.readouterr()
    return status, out, err


def slow(directory: str) -> list:
    return [entry for record in read(directory) for entry in expand(record)]


def test_jsonl_has_every_entry_as_tail_has_it_behind_a_line_that_names_the_schema(
    everything: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(["export", "--format", "jsonl", everything], capsys)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == '{"kind":"schema","schema":"belljar.ledger.entry","version":1}'
    found = [json.loads(text) for text in lines[1:]]
    assert [one["entry"] for one in found] == [entry.number for entry in slow(everything)]
    _, tail, _ = run(["tail", "-n", "100000", "--json", everything], capsys)
    told = [json.loads(text) for text in tail.splitlines()]
    assert [one.keys() for one in found] == [one.keys() for one in told]
    same = [a for a, b in zip(found, told, strict=True) if a == b]
    assert len(same) >= len(told) - 4  # the others hold what is no UTF-8, spelled out


@pytest.mark.parametrize("how", ["jsonl", "ocsf", "sarif"])
def test_every_line_is_ascii_and_every_parser_takes_it(
    everything: str, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(["export", "--format", how, everything], capsys)
    assert status == 0
    assert out.isascii()
    assert all(text.isprintable() for text in out.split("\n"))
    parts = [out] if how == "sarif" else out.splitlines()
    for part in parts:
        json.dumps(json.loads(part), ensure_ascii=False).encode("utf-8")
    assert json.dumps(LONG)[1:-1] in out
    for text in NASTY:
        assert json.dumps(text).replace("\x7f", "\\u007f")[1:-1] in out


@pytest.mark.parametrize("how", ["jsonl", "ocsf", "parquet"])
def test_what_does_not_decode_is_exported_as_such(
    everything: str, how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = [entry for entry in slow(everything) if entry.kind == "broken"]
    assert len(broken) > 8
    file = str(tmp_path / "out")
    status, _, _ = run(["export", "--format", how, "-o", file, everything], capsys)
    assert status == 0
    if how == "parquet":
        sql = f"SELECT entry, reason, bytes FROM read_parquet('{file}') WHERE kind = 'broken'"
        sql += " ORDER BY entry"
        assert duckdb.sql(sql).fetchall() == [(e.number, e.reason, e.raw) for e in broken]
        return
    every = [json.loads(text) for text in Path(file).read_text().splitlines()]
    if how == "ocsf":
        every = [one["unmapped"]["belljar"] for one in every]
    found = [one for one in every if one["kind"] == "broken"]
    assert found == [entry.plain() for entry in broken]


def test_sarif_tells_of_what_does_not_decode(
    everything: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run(["export", "--format", "sarif", everything], capsys)
    results = json.loads(out)["runs"][0]["results"]
    found = [one for one in results if one["ruleId"] == "belljar/broken"]
    broken = [entry.plain() for entry in slow(everything) if entry.kind == "broken"]
    assert [one["properties"]["belljar"] for one in found] == broken


def test_parquet_is_the_view_of_all_entries(
    everything: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for extra in ([], ["--no-index"]):
        file = str(tmp_path / "it's; DROP.parquet")
        argv = ["export", "--format", "parquet", "-o", file, *extra, everything]
        assert run(argv, capsys) == (0, "", "")
        found = duckdb.read_parquet(file).fetchall()
        assert [row[0] for row in found] == [entry.number for entry in slow(everything)]
        assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
        assert os.listdir(tmp_path / "cache") if not extra else True


@pytest.mark.parametrize(
    ("selection", "which"),
    [
        (Selection(), lambda e: True),
        (Selection(run=OTHER.hex()[:4]), lambda e: e.run == OTHER),
        (Selection(run="ff"), lambda e: False),
        (Selection(since=TIME + 1), lambda e: e.run == OTHER),
        (Selection(until=TIME + 10**9), lambda e: e.run == RUN),
        (Selection(since=TIME, until=TIME), lambda e: False),
        (Selection(kinds=frozenset({"event"})), lambda e: e.kind == "event"),
        (Selection(kinds=frozenset({"broken"})), lambda e: e.kind == "broken"),
        (
            Selection(kinds=frozenset({"start", "decision"}), run=RUN.hex()),
            lambda e: e.run == RUN and e.kind in ("start", "decision"),
        ),
    ],
)
def test_a_part_is_exactly_that_part_in_every_format(
    everything: str, tmp_path: Path, selection: Selection, which
) -> None:
    wanted = [entry.number for entry in slow(everything) if which(entry)]
    assert [entry.number for entry in entries(everything, selection)] == wanted
    file = str(tmp_path / "p")
    assert parquet(everything, file, selection) == len(wanted)
    found = duckdb.sql(f"SELECT entry FROM read_parquet('{file}') ORDER BY entry").fetchall()
    assert [number for (number,) in found] == wanted


def test_the_command_line_says_what_part(
    everything: str, capsys: pytest.CaptureFixture[str]
) -> None:
    part = ["--kind", "start,end", "--run", RUN.hex()[:6].upper(), "--since", "2001-09-09"]
    argv = ["export", "--format=jsonl", *part, "--until", "2001-09-09T02:46:41+01:00", everything]
    status, out, _ = run(argv, capsys)
    assert status == 0
    assert [json.loads(text)["kind"] for text in out.splitlines()] == ["schema", "start", "end"]


def test_times_are_read_as_people_write_them() -> None:
    import time
    from argparse import ArgumentTypeError

    assert moment("2001-09-09T01:46:40Z") == moment("2001-09-09T03:46:40+02:00") == 10**18
    assert moment("2001-09-09 01:46:40.5") == 10**18 + 5 * 10**8
    assert abs(time.time_ns() - 7200 * 10**9 - moment("2h")) < 10**9
    assert moment("0001-01-01") < moment("9999-12-31")
    for wrong in ("", "h", "-5h", "soon\x1b[31m", "2001-13-01", "99999999d", "５h"):
        with pytest.raises(ArgumentTypeError) as error:
            moment(wrong)
        assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "argv",
    [
        ["export"],
        ["export", "--format", "xml"],
        ["export", "--format", "parquet"],
        ["export", "--format", "parquet", "-o", "-"],
        ["export", "--format", "jsonl", "--run", "xyz"],
        ["export", "--format", "jsonl", "--run", "a" * 33],
        ["export", "--format", "jsonl", "--kind", "events"],
        ["export", "--format", "jsonl", "--since", "yesterday"],
    ],
)
def test_what_cannot_be_understood_is_usage(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(argv, capsys)
    assert (status, out) == (2, "")
    assert err


@pytest.mark.parametrize("how", FORMATS)
def test_a_flaw_makes_no_file_and_is_named(
    ledger: str, tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(ledger) / "ledger.blj"
    data = bytearray(path.read_bytes())
    data[-60] ^= 1
    path.write_bytes(data)
    file = tmp_path / "out"
    file.write_text("before")
    status, _, err = run(["export", "--format", how, "-o", str(file), ledger], capsys)
    assert status == 1
    assert "at offset" in err
    assert file.read_text() == "before"
    left = {path.name for path in tmp_path.iterdir()}
    assert left <= {"out", "ledger", "cache"}


def test_a_file_that_cannot_be_written_is_one_line(
    ledger: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for how in FORMATS:
        argv = ["export", "--format", how, "-o", "/nowhere/at/all", ledger]
        status, _, err = run(argv, capsys)
        assert status == 1
        assert err == "belljar: cannot write /nowhere/at/all: No such file or directory\n"
    with pytest.raises(LedgerError):
        to_file("/proc/x", lambda name: None)


def test_an_empty_ledger_exports_as_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Writer(str(tmp_path)):
        pass
    assert run(["export", "--format", "ocsf", str(tmp_path)], capsys) == (0, "", "")
    _, out, _ = run(["export", "--format", "sarif", str(tmp_path)], capsys)
    assert json.loads(out)["runs"][0]["results"] == []


def test_a_line_is_one_line_whatever_is_in_it() -> None:
    assert line({"a": "\n\x7f\u2028\ud800"}) == '{"a":"\\n\\u007f\\u2028\\\\ud800"}'


def _write(text: str):
    return lambda name: Path(name).write_text(text)


def test_a_fifo_gets_the_bytes_and_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    for forwards in (True, False):
        reader = subprocess.Popen(["cat", path], stdout=subprocess.PIPE)
        to_file(str(path), _write("all of it"), forwards=forwards)
        assert reader.communicate(timeout=20)[0] == b"all of it"
        assert path.is_fifo()
    assert os.listdir(tmp_path) == ["fifo"]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_device_is_written_to_and_stays_one(
    ledger: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`/dev/full`, so that nobody can replace the null device of this machine by a mistake."""
    before = os.stat("/dev/full")
    place = f"/proc/self/fd/{os.open('/dev/full', os.O_WRONLY | os.O_CLOEXEC)}"
    try:
        assert main(["export", "--format", form, "-o", place, ledger]) == 1
    finally:
        os.close(int(place.rpartition("/")[2]))
    assert capsys.readouterr().err == (f"belljar: cannot write {place}: No space left on device\n")
    assert os.stat("/dev/full").st_rdev == before.st_rdev


def test_a_link_is_followed_to_a_regular_file_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, link = tmp_path / "target", tmp_path / "sub" / "link"
    link.parent.mkdir()
    target.write_text("old")
    link.symlink_to(target)
    to_file(str(link), _write("new"))
    assert link.is_symlink()
    assert (target.read_text(), stat.S_IMODE(target.stat().st_mode)) == ("new", 0o600)
    for bad in (tmp_path / "nothing", tmp_path, tmp_path / "fifo", Path("/dev/full")):
        if bad.name == "fifo":
            os.mkfifo(bad)
        link.unlink()
        link.symlink_to(bad)
        with pytest.raises(LedgerError, match="it is a link, and not one of yours to a regular"):
            to_file(str(link), _write("new"))
        assert link.is_symlink()
    assert not (tmp_path / "nothing").exists()
    link.unlink()
    link.symlink_to(target)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 7)
    if not link.lstat().st_uid:
        os.lchown(link, 12345, -1)
    with pytest.raises(LedgerError, match="not one of yours"):
        to_file(str(link), _write("another's link"))
    assert target.read_text() == "new"


def test_what_is_neither_file_nor_stream_is_refused(tmp_path: Path) -> None:
    made = socket.socket(socket.AF_UNIX)
    with made:
        made.bind(str(tmp_path / "socket"))
        for path in (tmp_path, tmp_path / "socket"):
            with pytest.raises(LedgerError, match="it is no file, no FIFO and no character device"):
                to_file(str(path), _write("x"))


def test_who_changes_names_beside_the_file_leads_nobody_elsewhere(tmp_path: Path) -> None:
    precious, his = tmp_path / "precious", tmp_path / "his"
    precious.mkdir()
    his.mkdir()
    (precious / "export").write_text("precious")
    (precious / "out").write_text("precious")

    def write(name: str) -> None:
        for mine in list(his.iterdir()):  # what its owner may do meanwhile
            mine.rename(his / "moved")
            mine.symlink_to(precious)
        _write("secret")(name)

    with pytest.raises(LedgerError, match="somebody else changes"):
        to_file(str(his / "out"), write)
    assert {path.read_text() for path in precious.iterdir()} == {"precious"}
    assert not (his / "out").exists()


def test_ones_own_descriptors_can_be_named(tmp_path: Path) -> None:
    read_end, end = os.pipe()
    to_file(f"/dev/fd/{end}", _write("a" * 10_000))
    to_file(f"/proc/self/fd/{end}", _write("b"), forwards=True)
    os.close(end)
    with open(read_end, "rb") as pipe:
        assert pipe.read() == b"a" * 10_000 + b"b"


def test_what_was_written_is_told_as_json(
    ledger: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "out")
    assert main(["export", "--format", "jsonl", "-o", path, "--json", ledger]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "exported": True, "format": "jsonl", "file": path,
    }  # fmt: skip
    assert main(["export", "--format", "jsonl", "--json", ledger]) == 2
    assert json.loads(capsys.readouterr().out)["code"] == "usage"


def test_a_span_that_ends_before_it_begins_is_a_wrong_command_line(
    ledger: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export", "--format", "jsonl", "--since", "2026-02-01", "--until", "2026-01-01"]
    assert main([*words, ledger]) == 2
    assert "--since is later than --until" in capsys.readouterr().err
