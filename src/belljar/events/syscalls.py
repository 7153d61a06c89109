"""What the cross-check's tracer tells: one frame (kind 5) for each system call that matters.

The bytes come through the FIFO, where a recorded program writes, too: they are parsed with strict
types and sizes, and may still be forged.
"""

from __future__ import annotations

import struct

from belljar._native import unpack
from belljar.errors import GuestProtocolError
from belljar.events.paths import absolute
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

SYSCALL: Final = 5
_HEADER: Final = struct.Struct("<HHBBHIIQQ")
_MAX_FRAME: Final = 4096
_TRUNCATED: Final = 4
_MOST_ITEMS: Final = 8
_INET, _INET6, _UNIX, _NETLINK, _UNSPEC = 2, 10, 1, 16, 0
_DATAGRAM: Final = 2
_UNIX_PATH: Final = 108  # of sockaddr_un

#: The kinds in the order in which a report shows them, and the calls of each.
KINDS: Final = {
    "open": ("open", "openat", "openat2", "creat", "open_by_handle_at"),
    "exec": ("execve", "execveat"),
    "connect": ("connect",),
    "bind": ("bind",),
    "send": ("sendto", "sendmsg", "sendmmsg"),
    "unlink": ("unlink", "unlinkat", "rmdir"),
    "rename": ("rename", "renameat", "renameat2"),
    "executable memory": ("mmap", "mprotect", "pkey_mprotect"),
    "memfd": ("memfd_create",),
    "ptrace": ("ptrace",),
    "io_uring": ("io_uring_setup",),
    "foreign": ("32-bit", "x32"),
    "remark": ("begin", "end"),
}
_KIND_OF: Final = {call: kind for kind, calls in KINDS.items() for call in calls}


class Syscall(Value):
    """One system call that the kernel was about to make.

    `pid` and `thread` are as the process sees itself, `start` is when it began, in clock ticks
    since boot, `ppid` its parent; `seq` counts the tracer's frames from 1, `time` is nanoseconds
    since 1970. `target` is an absolute path, an address as events have it, or "" where there is
    none or it could not be read; `asked` the path as the program wrote it. `other` is the old
    name of a rename. `number` is what the call has of flags, length or request, for sockets the
    type. What the tracer read from the process is a view: another thread may have changed it
    before the kernel read it.
    """

    name: str
    kind: str
    pid: int
    thread: int
    seq: int
    time: int
    start: int = 0
    ppid: int = 0
    number: int = 0
    target: str = ""
    asked: str = ""
    other: str = ""
    asked_other: str = ""
    cut: bool = False

    def plain(self) -> dict[str, Any]:
        """The call as one line of JSON has it: `kind` is syscall, `call` its name."""
        fields = self.__dict__
        rest = {name: fields[name] for name in self.__fields__[2:]}
        return {"kind": "syscall", "call": self.name, "of": self.kind, **rest}


def decode_syscall(frame: bytes) -> Syscall:
    """The call in one whole frame of kind 5. Raises `GuestProtocolError` for everything else."""
    if not _HEADER.size < len(frame) <= _MAX_FRAME:
        raise GuestProtocolError(f"a frame of {len(frame)} bytes")
    _, length, kind, flags, _, pid, thread, seq, time = _HEADER.unpack_from(frame)
    if kind != SYSCALL or length != len(frame):
        raise GuestProtocolError("a frame that tells of no system call")
    try:
        body = unpack(frame[_HEADER.size :], _no_extension, 1, _MOST_ITEMS)
    except ValueError as error:
        raise GuestProtocolError(f"a system call that is not as it should be: {error}") from None
    if type(body) is not tuple or not 4 <= len(body) <= _MOST_ITEMS:
        raise GuestProtocolError("a system call that is not an array of 4 to 8 parts")
    name = body[0]
    if type(name) is not str or name not in _KIND_OF:
        raise GuestProtocolError("a system call without a name that is known")
    start, ppid, number = (_count(value) for value in body[1:4])
    rest = [_bytes(value) for value in body[4:]]
    what = _KIND_OF[name]
    fixed = (name, what, pid, thread, seq, time, start, ppid, number)
    parts = [*rest, None, None, None, None]
    cut = bool(flags & _TRUNCATED)
    if what in ("connect", "bind", "send"):
        target = _address(parts[0], parts[1], number)
        return Syscall(*fixed, target, target, "", "", cut)
    if what == "rename":
        old, asked_old = _path(parts[0], parts[1])
        target, asked = _path(parts[2], parts[3])
        return Syscall(*fixed, target, asked, old, asked_old, cut)
    if what == "memfd":
        label = _text(parts[0])
        return Syscall(*fixed, f"memfd:{label}", label, "", "", cut)
    target, asked = _path(parts[0], parts[1])
    return Syscall(*fixed, target, asked, "", "", cut)


def _no_extension(code: int, _raw: bytes) -> object:
    raise GuestProtocolError(f"a system call with an extension {code}")


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise GuestProtocolError("a system call with a number that is none")
    return value


def _bytes(value: object) -> bytes | None:
    if value is not None and type(value) is not bytes:
        raise GuestProtocolError("a system call with arguments that are no bytes")
    return value


def _text(part: bytes | None) -> str:
    return "" if part is None else part.decode("utf-8", "surrogateescape")


def _path(part: bytes | None, base: bytes | None) -> tuple[str, str]:
    """A path made absolute, and as it was written."""
    asked = _text(part)
    if asked.startswith("/"):
        return absolute(asked, "/"), asked
    if base is None or not base.startswith(b"/"):
        return asked, asked
    return absolute(asked, _text(base)), asked


def _address(raw: bytes | None, base: bytes | None, how: int) -> str:
    """A `struct sockaddr` as text, UDP marked."""
    if raw is None or len(raw) < 2:
        return ""
    family = int.from_bytes(raw[:2], "little")
    udp = "udp:" if how == _DATAGRAM else ""
    if family == _INET and len(raw) >= 8:
        host = ".".join(map(str, raw[4:8]))
        return f"{udp}{host}:{int.from_bytes(raw[2:4], 'big')}"
    if family == _INET6 and len(raw) >= 24:
        import socket

        host = socket.inet_ntop(socket.AF_INET6, raw[8:24])
        return f"{udp}[{host}]:{int.from_bytes(raw[2:4], 'big')}"
    if family == _UNIX:
        name = raw[2 : 2 + _UNIX_PATH]
        if name[:1] == b"\0":
            return f"unix:@{_text(name[1:])}"
        path, _, _ = name.partition(b"\0")
        return f"unix:{_path(path, base)[0]}"
    if family == _NETLINK:
        return "netlink"
    return "unspecified" if family == _UNSPEC else f"family {family}"
