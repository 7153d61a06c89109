"""JSON lines: everything, unchanged, one line each, to files, pipes and descriptors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from belljar.ledger import Writer, sinks

from .conftest import (  # fmt: skip
    END,
    EVENTS,
    HOSTILE,
    RUN,
    START,
    Feeding,
    eventually,
    frame,
    hostile,
    packed,
    target,
)

COMMAND = Path(__file__).parents[4] / "tools" / "belljar"


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_hostile_text_is_one_line_of_ascii_each_and_comes_back_whole(
    directory: str, feeding: Callable[..., Feeding], tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    with Writer(directory) as writer:
        numbers = hostile(writer)
        writer.append([(EVENTS, 1, frame("open", HOSTILE["syslog"], "r", 0))], RUN)
    feeding(f"jsonl:{out}").wait()
    raw = out.read_bytes()
    assert all(0x20 <= byte < 0x7F or byte == 0x0A for byte in raw)
    found = {line["entry"]: line for line in lines(out)}
    assert len(found) == len(raw.splitlines()) == len(HOSTILE) + 1
    for name, number in numbers.items():
        assert found[number]["data"]["target"] == target(name)
        assert found[number]["severity"] == "warning"
    assert found[len(HOSTILE) + 1]["data"]["args"][0] == HOSTILE["syslog"]


def test_a_line_that_was_never_finished_swallows_none_of_ours(
    directory: str, feeding: Callable[..., Feeding], tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text('{"entry": 1, "cut in the mid')
    with Writer(directory) as writer:
        writer.append([(START, 1, packed({"argv": ["a"]}))], RUN)
    feeding(f"jsonl:{out}").wait()
    assert json.loads(out.read_text().splitlines()[1])["entry"] == 1


def test_a_file_that_was_moved_away_is_made_anew(
    directory: str, feeding: Callable[..., Feeding], tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    with Writer(directory) as writer:
        writer.append([(START, 1, packed({"argv": ["a"]}))], RUN)
        feed = feeding(f"jsonl:{out}")
        feed.wait()
        out.rename(tmp_path / "old.jsonl")
        writer.append([(END, 1, packed({"status": 0}))], RUN)
        eventually(lambda: out.exists() and lines(out))
    assert [line["entry"] for line in lines(tmp_path / "old.jsonl")] == [1]
    assert [line["entry"] for line in lines(out)] == [2]


def test_a_full_disk_is_waited_for_and_costs_nothing(
    directory: str, feeding: Callable[..., Feeding]
) -> None:
    with Writer(directory) as writer:
        writer.append([(START, 1, packed({"argv": ["a"]}))], RUN)
    feed = feeding("jsonl:/dev/full")
    eventually(lambda: feed.feed.where.state == "waiting")
    assert feed.feed.where.why == "/dev/full: No space left on device"
    assert (feed.feed.where.next, feed.feed.where.lost) == (1, 0)


def test_what_is_written_to_is_never_followed_through_a_link(
    directory: str, feeding: Callable[..., Feeding], tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with Writer(directory) as writer:
        writer.append([(START, 1, packed({"argv": ["a"]}))], RUN)
    feed = feeding(f"jsonl:{tmp_path / 'link'}")
    eventually(lambda: feed.feed.where.state == "waiting")
    assert not (tmp_path / "elsewhere").exists()


RUN_WITH_DESCRIPTOR = """
import os, sys
from belljar.ledger import START, END, Writer
from belljar.ledger.sinks import register
from belljar._native import pack
run = os.urandom(16)
with Writer(sys.argv[1]) as writer:
    ids = register(sys.argv[1], ["jsonl:fd/" + sys.argv[2]], run)
    writer.append([(START, 1, pack({"argv": ["a"], "sinks": ids}))], run)
    writer.append([(END, 1, pack({"status": 0}))], run)
    writer.append([(START, 1, pack({"argv": ["another"]}))], bytes(16))
"""


def test_a_descriptor_gets_its_own_run_and_then_its_end(directory: str) -> None:
    reading, writing = os.pipe()
    subprocess.run(
        [sys.executable, "-c", RUN_WITH_DESCRIPTOR, directory, str(writing)],
        check=True, pass_fds=(writing,),
    )  # fmt: skip
    os.close(writing)
    with open(reading, "rb") as pipe:
        found = [json.loads(line) for line in pipe]  # until everyone closed it
    assert [line["kind"] for line in found] == ["start", "end"]
    folder = Path(directory) / "sinks"
    eventually(lambda: [path.name for path in folder.iterdir()] == ["ledger"])


def test_all_of_a_run_is_behind_its_descriptor_when_the_command_returns(tmp_path: Path) -> None:
    """Both commands, into a file and into a pipe that holds it all."""
    for number, words in enumerate((["run", "-c", "print(1)"], ["watch", "-c", "print(1)"])):
        with open(tmp_path / f"out{number}", "wb") as out:
            done = subprocess.run(
                [sys.executable, COMMAND, words[0], "--ledger", str(tmp_path / "ledger"),
                 "--sinks", f"jsonl:fd/{out.fileno()}", *words[1:]],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                pass_fds=(out.fileno(),), capture_output=True, check=False,
            )  # fmt: skip
        assert done.returncode == 0, done.stderr
        lines = (tmp_path / f"out{number}").read_text().splitlines()
        kinds = [json.loads(line)["kind"] for line in lines]
        assert kinds[0] == "start"
        assert kinds[-1] == "end"


def test_a_reader_that_is_too_slow_is_told_and_not_waited_for(
    directory: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sinks, "PATIENCE", 0.2)
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    run = os.urandom(16)
    with Writer(directory) as writer:
        ids = sinks.register(directory, [f"jsonl:fd/{writing}"], run)
        writer.append([(START, 1, packed({"argv": ["x" * 200_000], "sinks": ids}))], run)
        writer.append([(END, 1, packed({"status": 0}))], run)
    assert not sinks.finish(run)
    assert "its reader is slow" in capsys.readouterr().err
    assert sinks.finish(run)  # it is told once
    os.close(writing)
    with open(reading, "rb") as pipe:  # and nothing is lost
        assert [json.loads(line)["kind"] for line in pipe] == ["start", "end"]


def test_a_descriptor_that_was_not_handed_over_is_refused(directory: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN_WITH_DESCRIPTOR, directory, "77"],
        check=False, capture_output=True,
    )  # fmt: skip
    assert b"cannot write to descriptor 77" in done.stderr
