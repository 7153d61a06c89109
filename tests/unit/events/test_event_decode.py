"""Frames from a guest: read exactly, or refused with one exception."""

from __future__ import annotations

import struct

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from belljar.errors import GuestProtocolError
from belljar.events.decode import (
    BYE,
    EVENT,
    FORKED,
    HELLO,
    REFUSED,
    TRUNCATED,
    Bye,
    Hello,
    decode,
    decode_bye,
    decode_hello,
    header,
)
from belljar.events.targets import BigInt, Cut, TypeName
from belljar.model import Event, Frame

Ext = msgspec.msgpack.Ext
pack = msgspec.msgpack.encode


def frame(body: object, kind: int = EVENT, flags: int = 0, seq: int = 7) -> bytes:
    raw = body if isinstance(body, bytes) else pack(body)
    return struct.pack("<HHBBHIIQQ", 0x4A42, 32 + len(raw), kind, flags, 1, 42, 43, seq, 99) + raw


def test_an_event_is_read_with_its_target() -> None:
    where = ["job.py", 14, "load"]
    event = decode(frame(["open", ["../x", "r", 524288], where, "/w/sub"], flags=REFUSED))
    assert event == Event(
        7, 99, 42, 43, "open", ("../x", "r", 524288),
        "read", "/w/x", "../x", (Frame("job.py", 14, "load"),), "/w/sub", True,
    )  # fmt: skip


def test_every_kind_of_value_has_its_type() -> None:
    values = [
        None, True, -1, 2.5, "a", b"b", ["x", ["y"]], Ext(1, b"\xed\xb2\x80"), Ext(2, pack(-70)),
        Ext(3, b"PosixPath"), Ext(4, pack(["pre", 5000])), Ext(4, pack([b"\xff", 5000])),
        Ext(4, pack([Ext(1, b"\xed\xb2\x80"), 2000])),
    ]  # fmt: skip
    assert decode(frame(["my.event", values, None, None])).args == (
        None, True, -1, 2.5, "a", b"b", ("x", ("y",)), "\udc80", BigInt(-70),
        TypeName("PosixPath"), Cut("pre", 5000), Cut("\udcff", 5000), Cut("\udc80", 2000),
    )  # fmt: skip


def test_a_greeting_and_a_farewell_are_read() -> None:
    hello = decode_hello(frame(["3.13.0", 41, ["python", "x.py"], None, 0], HELLO, FORKED, 0))
    assert (hello.python, hello.ppid, hello.argv, hello.forked) == (
        "3.13.0", 41, ("python", "x.py"), True,
    )  # fmt: skip
    assert (hello.header.pid, hello.header.seq, hello.cwd) == (42, 0, None)
    assert decode_bye(frame([3], BYE)).drops == 3


def test_a_program_whose_directory_was_cut_away_has_no_target() -> None:
    body = ["subprocess.Popen", ["./x", ["./x"], None, None], None, "/w"]
    assert decode(frame(body)).target == "/w/x"
    assert decode(frame(body, flags=TRUNCATED)).target is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x91" * 4000,
        {"a": 1},
        ["open"],
        ["open", [], None, None, None],
        [1, [], None, None],
        ["open", "args", None, None],
        ["open", [{"k": "v"}], None, None],
        ["open", [[[[[[[1]]]]]]], None, None],
        ["open", [Ext(9, b"")], None, None],
        ["open", [Ext(-1, b"\0\0\0\0")], None, None],
        ["open", [Ext(1, b"\xff")], None, None],
        ["open", [Ext(2, pack("x"))], None, None],
        ["open", [Ext(3, b"\xff")], None, None],
        ["open", [Ext(4, pack(["a", -1]))], None, None],
        ["open", [Ext(4, pack(["a", "b"]))], None, None],
        ["open", [Ext(4, pack([Ext(4, pack(["a", 1])), 1]))], None, None],
        ["open", [], ["f", "1", "g"], None],
        ["open", [], ["f", 1], None],
        ["open", [], None, 7],
    ],
    ids=str,
)
def test_a_body_that_the_protocol_does_not_allow_is_refused(body: object) -> None:
    with pytest.raises(GuestProtocolError):
        decode(frame(body))


def test_a_frame_with_a_wrong_header_is_refused() -> None:
    good = frame(["x", [], None, None])
    assert header(good).kind == EVENT
    for at, value in ((0, 0), (2, 0), (4, 9), (4, 0), (4, 4), (6, 3)):
        bad = bytearray(good)
        bad[at] = value
        with pytest.raises(GuestProtocolError):
            decode(bytes(bad))
    for bad_size in (b"", good[:31], good[:-1], good + b"\0", good + bytes(5000)):
        with pytest.raises(GuestProtocolError):
            decode(bad_size)
    for reader in (decode_hello, decode_bye):
        with pytest.raises(GuestProtocolError):
            reader(good)


READERS = {HELLO: decode_hello, EVENT: decode, BYE: decode_bye}
data = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats()
    | st.text(max_size=9) | st.binary(max_size=9)
    | st.builds(Ext, st.integers(-128, 127), st.binary(max_size=9)),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip
shaped = st.tuples(
    st.sampled_from(["open", "os.rename", "socket.connect", "import", "x"]) | data,
    st.lists(data, max_size=6) | data,
    st.none() | st.tuples(st.text(max_size=5), st.integers(0, 9), st.text(max_size=5)) | data,
    st.none() | st.text(max_size=5) | data,
)


@given(
    st.binary(max_size=200) | data.map(pack) | shaped.map(pack),
    st.sampled_from(sorted(READERS)),
    st.integers(0, 255),
)
@example(b"\xc7" * 300, EVENT, 0)
@example(b"\xdd\xff\xff\xff\xff", EVENT, 0)
@example(b"\xc9\xff\xff\xff\xff\x04", EVENT, 0)
def test_no_bytes_make_the_host_choke(body: bytes, kind: int, flags: int) -> None:
    raw = frame(body, kind, flags)
    try:
        value = READERS[kind](raw)
    except GuestProtocolError:
        return
    assert isinstance(value, Event | Hello | Bye)
    hash(value)


@given(st.binary(max_size=300))
def test_no_arbitrary_bytes_pass_for_a_frame(raw: bytes) -> None:
    for reader in READERS.values():
        with pytest.raises(GuestProtocolError):
            reader(raw)
