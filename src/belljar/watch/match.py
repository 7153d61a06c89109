"""Which audit event explains a system call. Pure: no process, disk or clock is looked at.

The recorder hands over an event before the operation that it announces, in the same thread, so
what explains a call is the newest event of its thread, or one right before it. An event explains
one call; those that stand for several (loading a library, resolving a name, a database) say for
which.
"""

from __future__ import annotations

import re

from belljar.errors import GuestProtocolError
from belljar.events.decode import decode
from belljar.events.targets import Cut, TypeName, address_of, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Final

    from belljar.events.syscalls import Syscall
    from belljar.model import Event

#: Events that put a path into a system call of their own, and where that path is.
_OPENS: Final = frozenset(
    ("open", "os.listdir", "os.scandir", "cpython.run_file", "cpython.run_startup")
)
_REMOVES: Final = frozenset(("os.remove", "os.rmdir"))
_LOADS: Final = {"import": 1, "ctypes.dlopen": 0, "sqlite3.load_extension": 1}
_RESOLVES: Final = frozenset(
    ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo",
     "socket.getservbyname", "socket.getservbyport")
)  # fmt: skip
_FORKS: Final = frozenset(("os.fork", "os.forkpty"))
#: These resolve a host name before they raise their event.
_RESOLVES_FIRST: Final = frozenset(("socket.connect", "socket.bind", "socket.sendto"))
_ADDRESSES: Final = {
    "connect": frozenset(("socket.connect",)),
    "bind": frozenset(("socket.bind",)),
    "send": frozenset(("socket.sendto", "socket.sendmsg")),
}
#: Events after which another program starts, in this process or in a child.
STARTS: Final = frozenset(
    ("subprocess.Popen", "os.posix_spawn", "os.system", "os.exec", "_posixsubprocess.fork_exec")
)
_LIBRARY: Final = re.compile(r"[^/]\.so(\.[0-9]+)*$|^/etc/ld\.so\.cache$")
_RESOLVER: Final = re.compile(
    r"^/etc/(hosts|host\.conf|resolv\.conf|nsswitch\.conf|gai\.conf|services|protocols|networks)$"
    r"|^/run/systemd/resolve/|/libnss_[^/]*\.so[.0-9]*$|^/etc/ld\.so\.cache$"
)
_DAEMONS: Final = ("unix:/var/run/nscd/socket", "unix:/run/systemd/resolve/io.systemd.Resolve")
#: What the C library reads for itself, whatever was asked of it.
_HOUSEKEEPING: Final = re.compile(
    r"^/etc/localtime$|^/usr/share/zoneinfo/|^/usr/(lib|share)/locale/|/gconv/[^/]+$"
    r"|^/proc/sys/vm/overcommit_memory$|^/proc/(meminfo|cpuinfo|stat)$|^/dev/u?random$"
    r"|^/proc/self/fd$|^/etc/ld\.so\.cache$|^/sys/devices/system/(cpu|node)/"
    r"|^/sys/kernel/mm/transparent_hugepage/"
    r"|/libgcc_s\.so\.1$"  # glibc, when a thread ends
)
_HEADER: Final = 32
_WRITES: Final = 3 | 0o100 | 0o1000  # O_ACCMODE, O_CREAT, O_TRUNC
_SQLITE: Final = ("", "-journal", "-wal", "-shm")


class Seen:
    """An event as it came: decoded when asked for, and used up by what it explained."""

    __slots__ = ("_event", "frame", "name", "time", "used")

    def __init__(self, name: str, time: int, frame: bytes) -> None:
        self.name, self.time, self.frame = name, time, frame
        self.used = 0  # by whom: the process that a start explains, else 1
        self._event: Event | None = None

    @property
    def event(self) -> Event | None:
        """The decoded event, None if it cannot be decoded."""
        if self._event is None and self.frame:
            try:
                self._event = decode(self.frame)
            except GuestProtocolError:
                self.frame = b""
        return self._event

    def begins_with(self, text: str) -> bool:
        """Is `text` the event's first argument, for certain? Told by its bytes: decoding costs ten
        times what the recording does.
        """
        name, raw = self.name.encode(), text.encode("utf-8", "surrogateescape")
        if len(name) > 31 or len(raw) > 255:
            return False
        size = bytes((0xA0 | len(raw),)) if len(raw) < 32 else bytes((0xD9, len(raw)))
        at = _HEADER + 3 + len(name)  # behind an array, a short name, the arguments' array
        return self.frame.startswith(size + raw, at)


def name_of(frame: bytes) -> str:
    """The name in an event's frame, "" for one that is not plain text."""
    at = _HEADER + 1
    if len(frame) < at + 2 or not 0x90 <= frame[_HEADER] <= 0x9F:
        return ""
    size = frame[at]
    if 0xA0 <= size <= 0xBF:
        start, size = at + 1, size - 0xA0
    elif size == 0xD9:
        start, size = at + 2, frame[at + 1]
    else:
        return ""
    return frame[start : start + size].decode("utf-8", "replace")


def explain(
    call: Syscall, recent: Sequence[Seen], follows: str, databases: Iterable[str]
) -> str | None:
    """What explains `call`, in words; None if nothing does.

    `recent` are the events of its thread before it, newest first; `follows` is the name of the
    thread's next event, "" for none; `databases` are the files that sqlite3.connect opened in
    this process. An event that is used up by this is marked.
    """
    newest = recent[0] if recent else None
    if newest is not None and newest.name in _LOADS and _loads(call, newest):
        return f"{newest.name}: a library and what it needs"
    resolving = newest is not None and newest.name in _RESOLVES
    if (resolving or follows in _RESOLVES_FIRST) and _resolves(call, newest):
        return "resolving a name"
    if newest is not None and newest.name in _FORKS and call.target == "/proc/self/stat":
        return "os.fork: how many threads there are"  # from 3.12
    for seen in recent:
        if not seen.used and _matches(call, seen, seen is newest):
            seen.used = 1
            return seen.name
    if call.kind in ("open", "unlink") and _is_database(call, databases):
        return "sqlite3.connect: a database and its journal"
    return None


def starts(call: Syscall, recent: Iterable[Seen], pid: int) -> str | None:
    """Which of the events that start a program, newest first, explains the exec `call` of `pid`.

    A start explains every candidate on PATH, and one process only.
    """
    found = None
    for seen in recent:
        if seen.used in (0, pid) and _starts(call, seen):
            seen.used = pid  # those beneath it tell the same start again
            found = seen.name
        elif found:
            break
    return found


def recorded(call: Syscall, ours: Iterable[Seen]) -> str:
    """The recorder's own event that tells of a call which Python did not announce, "" for none.

    The recorder sees some of what goes through the C library (`belljar.open`, `belljar.exec`).
    """
    for seen in ours:
        if seen.used not in (0, call.pid):
            continue
        opened = call.kind == "open" and seen.name == "belljar.open" and not seen.used
        if opened and _same_path(call.target, call.asked, seen, 0, False):
            seen.used = call.pid
            return seen.name
        if call.kind == "exec" and seen.name == "belljar.exec" and _starts(call, seen):
            seen.used = call.pid  # for every candidate on PATH
            return seen.name
    return ""


def is_housekeeping(call: Syscall) -> bool:
    """Does the C library read this for itself? Reading only, from a short list."""
    if call.kind == "executable memory":
        return call.target.endswith("/libgcc_s.so.1")
    if call.kind != "open" or call.number & _WRITES:
        return False
    if call.target == f"/proc/{call.pid}/maps":  # libffi, which looks where it lies itself
        return True
    return _HOUSEKEEPING.search(call.target) is not None


def database(seen: Seen) -> str | None:
    """The file that a sqlite3.connect names."""
    event = seen.event
    text = event.asked if event is not None else None
    if event is None or not text or text == ":memory:":
        return None
    if text.startswith("file:"):
        from belljar.events.paths import absolute

        text = text[5:].partition("?")[0]
        text = text[text.find("/", 2) :] if text.startswith("//") else text
        return absolute(text, event.cwd or "/") if text else None
    return event.target


def _matches(call: Syscall, seen: Seen, is_newest: bool) -> bool:
    kind, name = call.kind, seen.name
    if kind == "open":
        return name in _OPENS and _same_path(call.target, call.asked, seen, 0, is_newest)
    if kind == "unlink":
        return name in _REMOVES and _same_path(call.target, call.asked, seen, 0, is_newest)
    if kind == "rename":
        return (
            name == "os.rename"
            and _same_path(call.target, call.asked, seen, 1, is_newest)
            and _same_path(call.other, call.asked_other, seen, 0, is_newest)
        )
    if kind in _ADDRESSES:
        if name.startswith("syslog."):
            return is_newest and call.target == "unix:/dev/log"
        return name in _ADDRESSES[kind] and _same_address(call.target, seen)
    if kind == "executable memory":
        return is_newest and name == "mmap.__new__" and _length(seen) == call.number
    return False


def _same_path(target: str, asked: str, seen: Seen, index: int, is_newest: bool) -> bool:
    if index == 0 and asked[:1] == "/" and seen.begins_with(asked):
        return True
    event = seen.event
    if event is None:
        return False
    if not target:  # the supervisor could not read it
        return is_newest
    value = event.args[index] if len(event.args) > index else None
    if type(value) is TypeName:  # a path-like: its event hides the name
        return is_newest
    if type(value) is Cut:
        return asked.startswith(value.text[:900])
    if value is None and event.name in ("os.listdir", "os.scandir"):
        return is_newest and asked == "."
    if index == 0 and event.target is not None and event.name != "os.rename":
        return event.target == target
    text = text_of(value)
    if text is None:
        return False
    if text == asked:
        return True
    from belljar.events.paths import absolute

    return absolute(text, event.cwd or "/") == target


def _same_address(target: str, seen: Seen) -> bool:
    event = seen.event
    if event is None or len(event.args) < 2:
        return False
    named = address_of(event.args[1], event.cwd)
    target = target.removeprefix("udp:")
    if named is None:
        path = text_of(event.args[1])  # of a Unix socket, from a directory that is not told
        if path is not None:
            return target.startswith("unix:/") and target.endswith(f"/{path}")
        return target.startswith(("family ", "netlink"))  # families that events tell by tuples
    if named == target:
        return True
    host, _, port = named.rpartition(":")
    return (
        not named.startswith("unix:") and target.endswith(f":{port}") and not _is_same(host, target)
    )


def _is_same(host: str, target: str) -> bool:
    """Is `host` an address in numbers that differs from `target`'s? A name may be any."""
    import socket

    text = host.strip("[]").partition("%")[0]
    there = target.rpartition(":")[0].strip("[]")
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            ours = socket.inet_pton(family, text)
        except OSError:
            continue
        try:
            return ours != socket.inet_pton(family, there)
        except OSError:
            return True
    return False


def _loads(call: Syscall, seen: Seen) -> bool:
    """Is this the dynamic loader's work for the library that `seen` names?"""
    event = seen.event
    index = _LOADS[seen.name]
    named = text_of(event.args[index]) if event is not None and len(event.args) > index else None
    if not named or call.kind not in ("open", "executable memory"):
        return False
    if call.kind == "open" and call.number & _WRITES:
        return False
    return call.target == named or _LIBRARY.search(call.target) is not None


def _resolves(call: Syscall, newest: Seen | None) -> bool:
    if call.kind == "open":
        return not call.number & _WRITES and _RESOLVER.search(call.target) is not None
    if call.kind in ("connect", "send"):
        target = call.target
        if target in (*_DAEMONS, "netlink", "unspecified") or target.endswith(":53"):
            return True
        if call.kind != "connect" or not target.startswith("udp:"):
            return False
        return target.endswith((":0", f":{_port(newest)}"))  # which address is nearest
    return call.kind == "bind" and call.target == "netlink"


def _port(newest: Seen | None) -> int:
    """The port that was asked for together with a name, 0 where the event does not tell one."""
    event = newest.event if newest is not None and newest.name == "socket.getaddrinfo" else None
    port = event.args[1] if event is not None and len(event.args) > 1 else None
    if type(port) is str and port.isdecimal() and len(port) < 6:
        return int(port)
    return port if type(port) is int else 0


def _is_database(call: Syscall, databases: Iterable[str]) -> bool:
    for base in databases:
        if call.target in [base + suffix for suffix in _SQLITE]:
            return True
        if call.target == base.rpartition("/")[0] and not call.number & _WRITES:
            return True  # the directory, to make a change in it durable
    return False


def _starts(call: Syscall, seen: Seen) -> bool:
    event = seen.event
    if event is None:
        return False
    if seen.name == "os.system":
        return call.asked == "/bin/sh"
    value = event.args[0] if event.args else None
    if type(value) is int:  # a descriptor
        return seen.name == "os.exec"
    values = value if type(value) is tuple else (value,)
    for one in values:
        text = text_of(one)
        if text is not None and (text == call.asked or event.target == call.target):
            return True
        if seen.name == "belljar.exec" and text is not None:
            text = text.rpartition("/")[2]  # it names the first candidate
        if text is not None and "/" not in text and call.asked.rpartition("/")[2] == text:
            return True  # a candidate on PATH
        if type(one) is TypeName:
            return True
    return False


def _length(seen: Seen) -> int:
    event = seen.event
    value = event.args[1] if event is not None and len(event.args) > 1 else None
    return value if type(value) is int else -1
