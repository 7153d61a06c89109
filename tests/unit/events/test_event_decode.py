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
    LOSS,
    REFUSED,
    SYSCALL,
    TRUNCATED,
    Bye,
    Hello,
    Loss,
    decode,
    decode_bye,
    decode_hello,
    decode_loss,
    header,
)
from belljar.events.targets import BigInt, Code, Cut, Socket, TypeName, targets
from belljar.model import Event, Frame

Ext = msgspec.msgpack.Ext
pack = msgspec.msgpack.encode


def frame(body: object, kind: int = EVENT, flags: int = 0, seq: int = 7, version: int = 2) -> bytes:
    raw = body if isinstance(body, bytes) else pack(body)
    head = (0x4A42, 32 + len(raw), kind, flags, version, 42, 43, seq, 99)
    return struct.pack("<HHBBHIIQQ", *head) + raw


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
        Ext(4, pack([Ext(1, b"\xed\xb2\x80"), 2000])), Ext(5, pack(["/f.py", "g", 7])),
        Ext(6, pack([b"x = \xff", 5000, bytes(32)])), Ext(7, pack(["socket", 2, 1])),
    ]  # fmt: skip
    assert decode(frame(["my.event", values, None, None])).args == (
        None, True, -1, 2.5, "a", b"b", ("x", ("y",)), "\udc80", BigInt(-70),
        TypeName("PosixPath"), Cut("pre", 5000), Cut("\udcff", 5000), Cut("\udc80", 2000),
        Code("/f.py", "g", 7), Cut("x = \udcff", 5000, bytes(32)), Socket("socket", 2, 1),
    )  # fmt: skip


def test_a_greeting_and_a_farewell_are_read() -> None:
    hello = decode_hello(frame(["3.13.0", 41, ["python", "x.py"], None, 0], HELLO, FORKED, 0))
    assert (hello.python, hello.ppid, hello.argv, hello.forked) == (
        "3.13.0", 41, ("python", "x.py"), True,
    )  # fmt: skip
    assert (hello.header.pid, hello.header.seq, hello.cwd) == (42, 0, None)
    assert decode_bye(frame([3], BYE)).drops == 3


def test_the_first_version_is_still_read() -> None:
    body = ["open", ["../x", "r", 0], ["job.py", 14, "load"], "/w/sub"]
    old, new = decode(frame(body, version=1)), decode(frame(body))
    assert old == new
    assert old.frames == ()
    hello = decode_hello(frame(["3.11.2", 1, [], "/w", 2], HELLO, version=1))
    assert (hello.executable, hello.uid, hello.start, hello.drops) == (None, -1, 0, 2)
    assert decode_bye(frame([0], BYE, version=1)).header.version == 1
    longer = {EVENT: [*body, None], HELLO: ["3.11.2", 1, [], None, 0, None]}
    for kind, raw in longer.items():
        READERS[kind](frame(raw, kind))
        with pytest.raises(GuestProtocolError):
            READERS[kind](frame(raw, kind, version=1))
    # Of two paths the first version told the working directory for either.
    args = ["a", "b", -1, 5]
    assert decode(frame(["os.rename", args, None, "/w"], version=1)).target is None
    assert decode(frame(["os.rename", args, None, "/d"])).target == "/d/b"


def test_a_greeting_of_the_second_version_tells_the_process() -> None:
    body = ["3.13.0", 41, [], "/w", 0, "/usr/bin/python3", 1000, 123456]
    hello = decode_hello(frame(body, HELLO))
    assert (hello.executable, hello.uid, hello.start) == ("/usr/bin/python3", 1000, 123456)
    hello = decode_hello(frame([*body[:5], None, 0], HELLO))
    assert (hello.executable, hello.uid, hello.start) == (None, 0, 0)


def test_a_stack_is_read_with_its_values() -> None:
    values = ["x", 1, "secret", None, "text", Ext(4, pack(["a", 9])), "big", Ext(2, pack(99))]
    stack = [["f.py", 1, "g"], ["f.py", 9, "<module>", values]]
    event = decode(frame(["x", [], stack[0], None, 4095, stack]))
    assert event.stack == (Frame("f.py", 1, "g"),)
    assert event.frames[0] == Frame("f.py", 1, "g")
    assert event.frames[1].values == (
        ("x", 1), ("secret", None), ("text", Cut("a", 9)), ("big", BigInt(99)),
    )  # fmt: skip


def test_the_path_that_links_lead_to_is_the_target() -> None:
    event = decode(frame(["open", ["a", "r+", 2], None, "/w", None, None, "/real/a"]))
    assert (event.asked, event.target) == ("a", "/real/a")
    assert targets(event) == (("write", "/real/a"), ("read", "/real/a"))


def test_a_loss_is_read_and_checked() -> None:
    assert decode_loss(frame([7], LOSS)).count == 7
    for body in ([8], [0], [-1], ["1"], [], [1, 1], [True]):
        with pytest.raises(GuestProtocolError):
            decode_loss(frame(body, LOSS))
    with pytest.raises(GuestProtocolError):
        decode_loss(frame([1], LOSS, version=1))


def test_code_that_is_executed_is_its_files() -> None:
    event = decode(frame(["exec", [Ext(5, pack(["/f.py", "<module>", 1]))], None, None]))
    assert (event.right, event.target, event.asked) == ("code", "/f.py", "/f.py")
    assert decode(frame(["exec", [Ext(3, b"code")], None, None], version=1)).target is None


def test_a_directory_that_was_cut_gives_no_target() -> None:
    cut = Ext(4, pack(["/long", 3000]))
    event = decode(frame(["open", ["a", "r", 0], None, cut]))
    assert (event.cwd, event.target) == ("/long…", None)


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
        ["open", [], None],
        ["open", [], None, None, None, None, None, None],
        ["open", [], None, None, "1"],
        ["open", [], None, None, -1],
        ["open", [], None, None, None, ["f", 1, "g"]],
        ["open", [], None, None, None, [["f", 1]]],
        ["open", [], None, None, None, [["f", 1, "g", ["x"]]]],
        ["open", [], None, None, None, [["f", 1, "g", [1, 1]]]],
        ["open", [], None, None, None, [["f", 1, "g", ["x", ["y"]]]]],
        ["open", [], None, None, None, [["f", 1, "g", ["x", Ext(3, b"T")]]]],
        ["open", [], None, None, None, [["f", 1, "g", ["x", 1] * 9]]],
        ["open", [], None, None, None, [["f", 1, "g"]] * 33],
        ["open", [], None, None, None, None, 7],
        ["open", [Ext(5, pack(["f", "g"]))], None, None],
        ["open", [Ext(5, pack(["f", "g", "1"]))], None, None],
        ["open", [Ext(5, pack([b"f", "g", 1]))], None, None],
        ["open", [Ext(6, pack(["f", 1, b""]))], None, None],
        ["open", [Ext(6, pack(["f", 1, b"x" * 31]))], None, None],
        ["open", [Ext(6, pack(["f", 1, "x" * 32]))], None, None],
        ["open", [Ext(7, pack(["socket", 2]))], None, None],
        ["open", [Ext(7, pack(["socket", "2", 1]))], None, None],
        ["open", [Ext(7, pack([Ext(7, pack(["s", 2, 1])), 2, 1]))], None, None],
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
    for at, value in ((0, 0), (2, 0), (4, 9), (4, 0), (4, 6), (6, 0), (6, 3)):
        bad = bytearray(good)
        bad[at] = value
        with pytest.raises(GuestProtocolError):
            decode(bytes(bad))
    for bad_size in (b"", good[:31], good[:-1], good + b"\0", good + bytes(5000)):
        with pytest.raises(GuestProtocolError):
            decode(bad_size)
    for kind in (LOSS, SYSCALL):
        assert header(frame([1], kind)).kind == kind
        with pytest.raises(GuestProtocolError):
            header(frame([1], kind, version=1))
    for reader in (decode_hello, decode_bye, decode_loss):
        with pytest.raises(GuestProtocolError):
            reader(good)


READERS = {HELLO: decode_hello, EVENT: decode, BYE: decode_bye, LOSS: decode_loss}
data = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats()
    | st.text(max_size=9) | st.binary(max_size=9)
    | st.builds(Ext, st.integers(-128, 127), st.binary(max_size=9)),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip
place = st.tuples(st.text(max_size=5), st.integers(0, 9), st.text(max_size=5))
pairs = st.lists(st.text(max_size=3) | data, max_size=20)
compound = st.builds(
    Ext, st.integers(4, 7), st.tuples(data, data | st.integers(0, 99), data).map(pack)
)
shaped = st.tuples(
    st.sampled_from(["open", "os.rename", "socket.connect", "import", "exec", "os.remove", "x"])
    | data,
    st.lists(data | compound, max_size=6) | data,
    st.none() | place | data,
    st.none() | st.text(max_size=5) | data,
    st.none() | st.integers(0, 9) | data,
    st.none()
    | st.lists(place | st.tuples(*[st.text(), st.integers(-(2**63), 2**64 - 1), st.text(), pairs]))
    | data,
    st.none() | st.text(max_size=5) | data,
).flatmap(lambda body: st.integers(4, 7).map(lambda size: body[:size]))


@given(
    st.binary(max_size=200) | data.map(pack) | shaped.map(pack),
    st.sampled_from(sorted(READERS)),
    st.integers(0, 255),
    st.integers(1, 2),
)
@example(b"\xc7" * 300, EVENT, 0, 2)
@example(b"\xdd\xff\xff\xff\xff", EVENT, 0, 2)
@example(b"\xc9\xff\xff\xff\xff\x04", EVENT, 0, 2)
def test_no_bytes_make_the_host_choke(body: bytes, kind: int, flags: int, version: int) -> None:
    raw = frame(body[:4000], kind, flags, version=version)
    try:
        value = READERS[kind](raw)
    except GuestProtocolError:
        return
    assert isinstance(value, Event | Hello | Bye | Loss)
    hash(value)
    if isinstance(value, Event):
        assert all(type(right) is str for right, _ in targets(value))


@given(st.binary(max_size=300))
def test_no_arbitrary_bytes_pass_for_a_frame(raw: bytes) -> None:
    for reader in READERS.values():
        with pytest.raises(GuestProtocolError):
            reader(raw)
