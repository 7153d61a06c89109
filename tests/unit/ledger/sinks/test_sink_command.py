"""`belljar log sinks`, by hand."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from belljar.cli.log import main
from belljar.ledger import Writer
from belljar.ledger.sinks import able, register, store
from belljar.ledger.sinks.config import parse
from belljar.ledger.tree.clerk import Clerk
from belljar.ledger.tree.custody import delivered

from .conftest import Feeding, eventually, fill
from .test_sink_kills import numbers

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*words: str) -> tuple[int, str, str]:
        status = main(["sinks", *words])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


@pytest.fixture
def ledger(directory: str) -> str:
    with Writer(directory, clerk=False) as writer:
        fill(writer, 50)
    return directory


def test_where_there_is_no_ledger_nothing_is_made_and_one_line_says_so(
    tmp_path: Path, say: Say
) -> None:
    for words in ((), ("--add", "journald:"), ("--flush", "1"), ("--json",)):
        status, out, err = say(*words, str(tmp_path / "nowhere"))
        assert (status, err.count("\n")) == (1, 1)
        assert not out or "--json" in words
        assert "there is none" in err
    assert not (tmp_path / "nowhere").exists()


def test_sinks_are_a_table_and_json(ledger: str, say: Say, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert say(ledger)[1].startswith("no sinks: belljar log sinks --add URL")
    assert say("--add", f"jsonl:{out}?severity=warning", "--from", "1", ledger)[0] == 0
    assert say("--add", "syslog+tcp://[::1]:1", ledger)[0] == 0
    assert say("--flush", "5", ledger)[0] == 0
    lines = say(ledger)[1].splitlines()
    assert lines[0].split() == ["id", "state", "sent", "behind", "filtered", "lost", "runs", "to"]
    row = dict(zip(lines[0].split(), lines[1].split(), strict=True))
    assert (row["state"], row["sent"], row["filtered"], row["runs"]) == ("going", "0", "50", "all")
    assert row["to"] == f"jsonl:{out}?severity=warning"
    assert "waiting" in lines[2]
    assert lines[3].strip() == "::1 port 1: Connection refused"
    rows = [json.loads(line) for line in say("--json", ledger)[1].splitlines()]
    assert [one["filtered"] for one in rows] == [50, 0]
    assert all(set(one) >= {"id", "sink", "state", "next", "behind", "lost", "why"} for one in rows)


def test_what_is_told_of_a_sink_cannot_drive_a_terminal(ledger: str, say: Say) -> None:
    name = store.add(ledger, parse("journald:"), every_run=True).sink.id
    row = json.dumps({field: [] for field in ("totals", "runs", "spans")})[:-1]
    row += ', "next": 1, "own": "", "sent": 0, "filtered": 0, "lost": 0, "time": 0, "counted": 1,'
    turn = store.load(ledger, name).turn
    row += f' "state": "\\u001b[2J", "why": "\\u202e\\nx\\u001b]0;", "turn": "{turn}"}}'
    Path(ledger, "sinks", f"{name}.at").write_text(row)
    Path(ledger, "sinks", "\x1b[31m.json").write_text("{}")
    for words in ((), ("--json",)):
        out = say(*words, ledger)[1]
        assert all(" " <= c <= "~" or c == "\n" for c in out), out


def test_a_sink_never_begins_beyond_the_end_of_the_ledger(ledger: str, say: Say) -> None:
    status, _, err = say("--add", "journald:", "--from", "52", ledger)
    assert (status, err) == (
        1,
        f"belljar: the ledger in {ledger} ends with #50: --from is 51 at most\n",
    )
    assert delivered(ledger) == ("", 0)
    assert say("--add", "journald:", "--from", "51", ledger)[0] == 0
    assert say("--reset", "journald-0", ledger)[0] == 1
    name = store.names(ledger)[0]
    assert say("--reset", name, "--from", "#99", ledger)[0] == 1
    assert delivered(ledger)[1] == 50


def test_from_is_never_ignored(ledger: str, say: Say) -> None:
    assert say("--from", "3", ledger)[0] == 2
    say("--add", "journald:", ledger)
    status, _, err = say("--add", "journald:", "--from", "3", ledger)
    assert status == 1
    assert "is registered already" in err
    assert f"--reset {store.names(ledger)[0]} --from 3" in err
    assert say("--add", "journald:", ledger)[0] == 0


def test_a_reset_holds_while_the_sink_is_being_fed(
    ledger: str, say: Say, tmp_path: Path, feeding: Callable[..., Feeding]
) -> None:
    from belljar.ledger.sinks.forward import Feeds

    out = tmp_path / "out.jsonl"
    name = store.add(ledger, parse(f"jsonl:{out}"), every_run=True, first=1).sink.id
    feeds = Feeds(ledger)
    try:
        eventually(lambda: feeds.look() or (feeds.done and len(numbers(out)) == 50))
        assert say("--reset", name, "--from", "31", ledger)[0] == 0
        eventually(lambda: feeds.look() or len(numbers(out)) == 70)
        known = store.load(ledger, name)
        assert known is not None
        eventually(lambda: store.position(ledger, known).next == 51)
    finally:
        feeds.close()
    assert numbers(out) == [*range(1, 51), *range(31, 51)]
    where = store.position(ledger, known)
    assert (where.sent, where.lost, where.turn) == (70, 0, known.turn)


def test_what_a_reset_skips_is_counted_as_lost_and_what_was_removed_is_forgotten(
    ledger: str, say: Say, tmp_path: Path
) -> None:
    text = f"jsonl:{tmp_path / 'out'}"
    say("--add", text, "--from", "1", ledger)
    name = store.names(ledger)[0]
    assert say("--reset", name, ledger)[0] == 0
    row = json.loads(say("--json", ledger)[1])
    assert (row["next"], row["lost"], row["sent"]) == (51, 50, 0)
    old = store.load(ledger, name)
    assert old is not None
    late = store.position(ledger, old)
    assert say("--remove", name, ledger)[0] == 0
    store.save(ledger, name, late)  # by a forwarder that has not noticed yet
    assert sorted(os.listdir(Path(ledger, "sinks"))) == []
    say("--add", text, "--from", "1", ledger)
    store.save(ledger, name, late)
    assert json.loads(say("--json", ledger)[1])["next"] == 1


def test_the_table_says_when_nobody_feeds_what_is_behind(ledger: str, say: Say) -> None:
    from belljar.ledger.sinks.forward import Feeds

    say("--add", "journald:/no/such/socket", "--from", "1", ledger)
    assert "nobody feeds them now" in say(ledger)[1]
    feeds = Feeds(ledger)
    try:
        assert "nobody feeds them now" not in say(ledger)[1]
    finally:
        feeds.close()
    assert "nobody feeds them now" in say(ledger)[1]
    clerk = Clerk(ledger)
    assert clerk.start()  # it will: the process comes with its next step
    assert "nobody feeds them now" not in say(ledger)[1]
    clerk.once()


def test_what_nobody_could_feed_is_not_said_to_want_somebody(ledger: str, say: Say) -> None:
    """A sink that refuses the ledger, and a descriptor's, which has a process of its own."""
    say("--add", "journald:/no/such/socket", "--from", "1", ledger)
    known = store.load(ledger, store.names(ledger)[0])
    assert known is not None
    where = store.position(ledger, known)
    store.save(ledger, known.sink.id, where.replace(state="refused", why="it was replaced"))
    store.add(ledger, parse("jsonl:fd/3", bytes(16)), every_run=False, first=1)
    shown = say(ledger)[1]
    assert "refused" in shown
    assert "nobody feeds them now" not in shown


def test_what_a_sink_can_never_work_without_is_said_when_it_is_named(
    ledger: str, say: Say, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *more: None if name.startswith("opentelemetry") else real(name, *more),
    )
    lines = say("--add", "otlp+http://127.0.0.1", ledger)[2].splitlines()
    assert len(lines) == 1
    assert "is not installed: pip install 'belljar[otel]'" in lines[0]
    assert register(ledger, ["otlp+http://127.0.0.1", "journald:"], bytes(16))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "nothing will come to the sink otlp+http://127.0.0.1:4318" in lines[0]
    monkeypatch.setattr(able, "_may_write_audit", lambda: False)
    assert "CAP_AUDIT_WRITE" in say("--add", "audit:", ledger)[2]


def test_the_help_has_an_example_of_each_kind(say: Say) -> None:
    status, out, _ = say("--help")
    assert status == 0
    for kind in (
        "syslog:///dev/log?form=bsd",
        "journald:",
        "audit:",
        "otlp+http://",
        "jsonl:/FILE",
    ):
        assert kind in out
