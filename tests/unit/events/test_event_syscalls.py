"""What the tracer tells is parsed with strict types; the program writes into the same FIFO."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from belljar._native import pack
from belljar.errors import GuestProtocolError
from belljar.events.syscalls import KINDS, decode_syscall


def frame(body, kind=5, flags=0):
    """A frame of the tracer around a packed body."""
    return struct.pack("<HHBBHIIQQ", 0x4A42, 32 + len(body), kind, flags, 2, 7, 8, 9, 10) + body


def binary(*parts):
    """The body for a call: a name, three numbers, bytes."""
    return pack(list(parts))


@pytest.mark.parametrize(
    ("parts", "kind", "target", "asked"),
    [
        (["openat", 3, 1, 0, b"/a/../b", None], "open", "/b", "/a/../b"),
        (["openat", 3, 1, 0, b"x/y", b"/w"], "open", "/w/x/y", "x/y"),
        (["openat", 3, 1, 0, b"x", None], "open", "x", "x"),
        (["openat", 3, 1, 0, None, None], "open", "", ""),
        (["openat", 3, 1, 0, b"\xff", b"/"], "open", "/\udcff", "\udcff"),
        (["execveat", 3, 1, 0, b"", b"/bin/true"], "exec", "/bin/true", ""),
        (["connect", 3, 1, 1, b"\2\0\0\x50\x7f\0\0\1"], "connect", "127.0.0.1:80", "127.0.0.1:80"),
        (["connect", 3, 1, 2, b"\2\0\0\x35\x08\x08\x08\x08"], "connect", "udp:8.8.8.8:53", None),
        (["bind", 3, 1, 1, b"\1\0\0abc"], "bind", "unix:@abc", None),
        (["bind", 3, 1, 1, b"\1\0s\0junk", b"/w"], "bind", "unix:/w/s", None),
        (["connect", 3, 1, 1, b"\x10\0aaaa"], "connect", "netlink", None),
        (["connect", 3, 1, 1, b"\x26\0aaaa"], "connect", "family 38", None),
        (["connect", 3, 1, 1, b"\2"], "connect", "", None),
        (["memfd_create", 3, 1, 0, b"x"], "memfd", "memfd:x", "x"),
        (["mmap", 3, 1, 4096, None], "executable memory", "", ""),
        (["ptrace", 3, 1, 16], "ptrace", "", ""),
    ],
)
def test_a_call_is_decoded_with_what_it_names(parts, kind, target, asked):
    call = decode_syscall(frame(binary(*parts)))
    assert (call.kind, call.target) == (kind, target)
    assert asked is None or call.asked == asked
    assert (call.pid, call.thread, call.seq, call.time, call.start, call.ppid) == (
        7,
        8,
        9,
        10,
        3,
        1,
    )


def test_a_rename_has_two_names():
    call = decode_syscall(frame(binary("renameat", 3, 1, 0, b"a", b"/x", b"b", b"/y")))
    assert (call.other, call.asked_other, call.target, call.asked) == ("/x/a", "a", "/y/b", "b")


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\xc0",
        binary("openat"),
        binary("nonsense", 1, 1, 1),
        binary(1, 1, 1, 1),
        binary("openat", -1, 1, 1),
        binary("openat", True, 1, 1),
        binary("openat", 1.0, 1, 1),
        binary("openat", 1, 1, 1, "text"),
        binary("openat", 1, 1, 1, [b"x"]),
        binary("openat", *range(8)),
        binary(["openat"], 1, 1, 1),
        b"\x91" * 4000,
        b"\x94\xa4open\x00\x00\x00trailing",
        b"\xdd\xff\xff\xff\xff",
    ],
)
def test_a_malformed_call_is_refused(bad):
    with pytest.raises(GuestProtocolError):
        decode_syscall(frame(bad))


def test_other_frames_are_refused():
    good = binary("openat", 1, 1, 1, b"/x", None)
    with pytest.raises(GuestProtocolError):
        decode_syscall(frame(good, kind=2))
    with pytest.raises(GuestProtocolError):
        decode_syscall(frame(good)[:-1])
    with pytest.raises(GuestProtocolError):
        decode_syscall(b"")


@given(st.binary(max_size=200))
def test_any_bytes_give_a_call_or_the_one_error(body):
    try:
        call = decode_syscall(frame(body))
    except GuestProtocolError:
        return
    assert call.kind in KINDS
    assert isinstance(call.target, str)
    assert call.plain()["kind"] == "syscall"
