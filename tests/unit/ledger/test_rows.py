"""Rows say of an entry what `belljar.ledger.entries` says of it, only faster."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from belljar.ledger.entries import expand, plain
from belljar.ledger.format import EVENTS
from belljar.ledger.query import rows
from belljar.ledger.query.rows import BODY, Bodies, number, sound, text_of_json
from belljar.ledger.reader import Record

from .everything import event, frames, head

NAMES = [
    "open", "os.rename", "os.listdir", "os.remove", "import", "compile", "os.system", "exec",
    "socket.connect", "socket.bind", "socket.sendto", "subprocess.Popen", "os.exec",
    "belljar.denied", "sqlite3.connect", "os.kill", "ctypes.dlopen", "os.chdir", "os.link",
]  # fmt: skip
values = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 63), (1 << 64) - 1), st.text(max_size=20),
    st.binary(max_size=5), st.floats(), st.lists(st.integers(0, 9), max_size=9),
    st.tuples(st.sampled_from(["10.0.0.1", "::1", "/run/x", "", b"\0a"]), st.integers(-1, 70_000)),
    st.builds(
        lambda *parts: msgspec.msgpack.Ext(7, msgspec.msgpack.encode(parts)),
        st.sampled_from(["socket", 1]), st.sampled_from([2, 10, 1, 17, 1 << 63, "x"]),
        st.integers(0, 3),
    ),
    st.builds(msgspec.msgpack.Ext, st.integers(0, 9), st.binary(max_size=4)),
)  # fmt: skip
paths = st.one_of(st.none(), st.text(max_size=12), st.just("/w"), values)
names = st.text(alphabet="/.a", max_size=7).map("/".__add__)
wheres = st.one_of(
    st.none(),
    st.tuples(st.text(max_size=9), st.integers(-5, 1 << 64 - 1), st.text(max_size=9)),
    values,
)
rests = st.one_of(
    st.just([]),
    st.tuples(st.one_of(st.none(), st.integers(-1, 9)), st.none(), st.one_of(st.none(), paths)),
)


def record(*every: bytes, count: int | None = None) -> Record:
    payload = b"".join(every)
    return Record(0, EVENTS, bytes(16), 1, len(every) if count is None else count, 0, payload)


@settings(max_examples=600, deadline=None)
@given(
    st.one_of(st.sampled_from(NAMES), st.text(max_size=9)),
    st.lists(st.one_of(names, values), max_size=6),
    wheres, paths, rests, st.sampled_from([0, 1, 2, 4, 32]), st.sampled_from([2, 2, 2, 1, 3]),
)  # fmt: skip
def test_the_fast_way_and_the_thorough_one_agree(
    name: str, args: list[object], where: object, base: object, rest: list[object],
    flags: int, version: int,
) -> None:  # fmt: skip
    data = msgspec.msgpack.encode([name, args, where, base, *rest])
    frame = head(data, 2, flags, version, 7, 3, 10**18) + data
    found = Bodies()
    result = found.frames(record(frame))
    (entry,) = expand(record(frame))
    assert result is not None
    if entry.kind == "broken":
        assert result.bodies == [-1]
        assert result.other == [(0, entry)]
        return
    fast, slow = found.rows[0], rows._row(entry)
    index = BODY.index("args")
    assert json.loads(fast[index]) == json.loads(slow[index])
    assert fast[:index] + fast[index + 1 :] == slow[:index] + slow[index + 1 :]


def test_a_body_is_decoded_once_whoever_sent_it() -> None:
    found = Bodies(first=10)
    same = [event("open", ["/a", "r", 0], pid=pid, seq=pid, time=pid) for pid in range(1, 200)]
    result = found.frames(record(*same, event("open", ["/b", "r", 0])))
    assert result is not None
    assert result.bodies == [10] * 199 + [11]
    assert [row[BODY.index("target")] for row in found.rows] == ["/a", "/b"]


def test_a_refused_event_is_another_body_than_one_that_was_not() -> None:
    found = Bodies()
    found.frames(record(event("open", ["/a", "r", 0]), event("open", ["/a", "r", 0], flags=2)))
    assert [row[BODY.index("refused")] for row in found.rows] == [False, True]


def test_what_is_remembered_is_bounded_and_forgetting_changes_nothing(monkeypatch) -> None:
    monkeypatch.setattr(rows, "_MOST_KNOWN", 3)
    found = Bodies()
    every = [event("open", [f"/{n % 5}", "r", 0]) for n in range(50)]
    result = found.frames(record(*every))
    assert result is not None
    targets = [found.rows[body][BODY.index("target")] for body in result.bodies]
    assert targets == [f"/{n % 5}" for n in range(50)]
    assert sum(map(len, found._known.values())) <= 3


def test_every_frame_of_the_collection_keeps_its_place() -> None:
    every = frames()
    found = Bodies()
    result = found.frames(record(*every))
    assert result is not None
    slow = list(expand(record(*every)))
    for place, entry in result.other:
        assert entry == slow[place]
    assert [n for n, body in enumerate(result.bodies) if body < 0] == [n for n, _ in result.other]


def test_bytes_that_are_not_as_many_frames_as_the_record_counts_are_left_to_the_thorough_way() -> (
    None
):
    one = event("open", ["/a", "r", 0])
    for wrong in (
        record(one, one, count=3), record(one, b"\0"), record(one[:-1]), record(b"", count=1),
        record(one, b"XJ" + one[2:]), record(one, b"BX" + one[2:]), record(one[:2] + b"\0\0"),
    ):  # fmt: skip
        assert Bodies().frames(wrong) is None


def test_json_of_a_row_is_taken_by_every_parser() -> None:
    for value in ("\ud800", ["\udcff", {"\udc80": 1 << 70}], {"a": "\x00\u2028"}):
        text = text_of_json(plain(value))
        json.loads(text)
        text.encode("utf-8")
    assert sound({"\udcff": ["\ud800"]}) == {"\\udcff": ["\\ud800"]}


def test_numbers_that_no_column_can_hold_are_none() -> None:
    assert [number(value) for value in (5, -5, True, 1.5, "5", 1 << 63, None)] == [
        5, -5, None, None, None, None, None,
    ]  # fmt: skip


def test_heads_that_nobody_knows_are_not_remembered() -> None:
    many = b"".join(
        head(b"", kind, flags, version, 1, 1, 1)
        for kind in (1, 2, 5, 77)
        for flags in (0, 1, 200)
        for version in range(0, 60_000, 100)
    )
    bodies = Bodies()
    bodies.frames(Record(0, EVENTS, bytes(16), 1, len(many) // 32, 1, many))
    assert len(bodies._known) < 100
