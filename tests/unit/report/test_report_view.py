"""Decoding keeps up, or says how much it did not look at; the program is not held up for it."""

from __future__ import annotations

import struct
import time

import pytest

from belljar._native import pack
from belljar.report import view as module
from belljar.report.summary import Summary
from belljar.report.view import View
from belljar.watch.attribute import Attribution
from belljar.watch.collect import Chunk
from belljar.watch.selection import Selection

FRAME = ["/w/job.py", 3, "f"]


def frame(kind, seq, body, pid=7):
    data = pack(body)
    head = struct.pack("<HHBBHIIQQ", 0x4A42, 32 + len(data), kind, 0, 2, pid, pid, seq, seq * 1000)
    return head + data


def event(seq, name, args, pid=7):
    return frame(2, seq, [name, args, FRAME, None], pid)


def chunk(*frames):
    places, at = [], 0
    for one in frames:
        if one[4] != 2:
            places.append((at, len(one)))
        at += len(one)
    return Chunk(b"".join(frames), len(frames), tuple(places))


def hello(pid=7):
    body = ["3.11.7", 1, ["python", "job.py"], "/w", 0, "/usr/bin/python3", 0, 5]
    return frame(1, 0, body, pid)


def opened(seq, path):
    return event(seq, "open", [path, "r", 0])


def make(write=None, **more):
    selection = Selection(more.pop("events", ()))
    return View(Summary("/w", ""), Attribution(), selection, write, **more)


def rows(view):
    return view.summary.packages.all[""].rows


@pytest.mark.parametrize("recorded", [True, False])
def test_a_note_points_to_the_record_only_where_there_is_one(recorded):
    view = make(recorded=recorded)
    view.shed = 3
    view.finish()
    (note,) = view.summary.notes
    assert note.startswith("3 opens, imports and the like came too fast to be looked at")
    assert note.endswith("the record has them") == recorded


def test_processes_count_what_was_asked_for():
    view = make(events=["os.*"])
    view.take([chunk(hello(), opened(1, "/a"), event(2, "os.remove", ["/x", -1]))])
    view.finish()
    (process,) = view.summary.processes.all
    assert (process.chosen, view.shown) == (1, 1)


def test_events_become_rows_of_the_summary():
    view = make()
    view.take([chunk(hello(), opened(1, "/a"), opened(2, "/b")), chunk(frame(3, 2, [0]))])
    view.finish()
    assert dict(rows(view)["read"]) == {"/a": 1, "/b": 1}
    (process,) = view.summary.processes.all
    assert (process.events, process.how, process.argv) == (2, "bye", ("python", "job.py"))
    assert view.shown == 2


def test_what_c_code_opens_is_of_the_package_that_its_thread_was_last_heard_of_from():
    lines = []
    for write in (None, lines.append):
        view = make(write)
        below = [frame(2, n, ["belljar.open", [f"/db{n}", None, 0], None, None]) for n in (1, 3, 4)]
        view.take([chunk(hello(), below[0], opened(2, "/a"), *below[1:])])
        view.take([chunk(hello(), frame(2, 5, ["belljar.open", ["/new", None, 0], None, None]))])
        view.finish()
    told = {line["args"][0]: line["package"] for line in lines if line["kind"] == "event"}
    assert told == {
        "/db1": "interpreter", "/a": "", "/db3": "", "/db4": "", "/new": "interpreter",
    }  # fmt: skip
    view = make()
    view.take([chunk(hello(), opened(2, "/a"), *below[1:])])
    view.finish()
    assert set(rows(view)["read"]) == {"/a", "/db3", "/db4"}


def test_what_a_rule_refused_is_told_as_refused_and_not_as_done():
    lines = []
    for write in (None, lines.append):
        view = make(write, refused={(7, 2)})
        view.take([chunk(*(event(n, "open", ["/w/out", "w", 577]) for n in (1, 2)))])
        view.finish()
        if write is None:
            assert dict(rows(view)["write"]) == {"/w/out": 1}
            assert dict(rows(view)["refused"]) == {"open /w/out": 1}
            assert view.summary.refused == 1
    assert [line["refused"] for line in lines] == [False, True]


def test_the_same_again_is_counted_without_decoding(monkeypatch):
    view = make()
    view.take([chunk(*(opened(n, "/a") for n in range(1, 50)))])
    calls = []
    real = module.decode
    monkeypatch.setattr(module, "decode", lambda data: calls.append(1) or real(data))
    view.finish()
    assert (rows(view)["read"]["/a"], len(calls)) == (49, 1)


def test_kinds_that_tell_nothing_are_not_even_looked_at(monkeypatch):
    monkeypatch.setattr(module, "decode", lambda data: pytest.fail("decoded"))
    view = make(shadows=False)
    names = ("builtins.id", "marshal.loads", "exec", "object.__getattr__")
    view.take([chunk(*(event(n, name, []) for n, name in enumerate(names)))])
    view.finish()
    assert view.shown == 0


def test_frames_that_do_not_decode_are_counted():
    view = make()
    view.take([chunk(opened(1, "/a"), frame(2, 2, ["open"]), opened(3, "/b"))])
    view.finish()
    assert (view.broken, view.shown) == (1, 2)


def test_json_tells_every_event_that_was_chosen_with_its_package():
    lines = []
    view = make(lines.append, events=["open"])
    view.take([chunk(hello(), opened(1, "/a"), event(2, "builtins.id", [5]))])
    view.finish()
    assert [(line["kind"], line.get("name"), line.get("package")) for line in lines] == [
        ("hello", None, None), ("event", "open", ""),
    ]  # fmt: skip


def test_json_tells_of_losses():
    lines = []
    view = make(lines.append)
    view.take([chunk(hello(), opened(1, "/a"), frame(4, 9, [8]), opened(10, "/b"))])
    view.finish()
    assert [line["kind"] for line in lines] == ["hello", "event", "loss", "event"]
    assert (lines[2]["count"], lines[2]["seq"]) == (8, 9)


def test_what_comes_much_too_fast_is_left_to_the_record_but_never_what_matters(monkeypatch):
    monkeypatch.setattr(module, "_MOST_WAITING", 10_000)
    monkeypatch.setattr(module, "_SLICE", 0)
    view = make()
    connect = [event(5000, "socket.connect", [None, ["10.0.0.1", 80]])]
    many = [opened(n, f"/x/{n}") for n in range(1, 1000)]
    view.take([chunk(*many, *connect, *many)])
    assert view._size <= 10_000
    view.finish()
    assert rows(view)["network"] == {"connect 10.0.0.1:80": 1}
    assert view.shed + view.shown == 1999
    assert view.shed > 1000
    assert f"note: {view.shed} opens, imports and the like" in view.summary.lines()[-1]


def test_json_is_never_left_out(monkeypatch):
    monkeypatch.setattr(module, "_MOST_WAITING", 1000)
    lines = []
    view = make(lines.append)
    view.take([chunk(*(opened(n, f"/x/{n}") for n in range(300)))])
    view.finish()
    assert (len(lines), view.shed) == (300, 0)


def test_nobody_waits_long_for_a_summary(monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    monkeypatch.setattr(module, "_SLICE", 0)
    view = make()
    for start in range(0, 40_000, 4000):
        view.take([chunk(*(opened(n, f"/x/{n}") for n in range(start, start + 4000)))])
    began = time.monotonic()
    view.finish()
    assert time.monotonic() - began < 2
    assert view.shed > 10_000
    assert view.shed + view.shown == 40_000


def test_a_filter_without_the_start_of_programs_takes_them_for_running():
    view = make(events=["open"])
    view.take([chunk(hello(), frame(2, 1, ["open", ["/a", "r", 0], ["<string>", 1, "f"], None]))])
    view.finish()
    assert list(view.summary.packages.all) == [""]
    view = make()
    view.take([chunk(hello(), frame(2, 1, ["open", ["/a", "r", 0], ["<string>", 1, "f"], None]))])
    view.finish()
    assert list(view.summary.packages.all) == ["interpreter"]
