"""What this process holds already and no wall takes away: descriptors, threads, shared memory,
children. Read from procfs (proc_pid_fd(5), proc_pid_maps(5)), before anything is confined.
"""

from __future__ import annotations

import os
import resource
import stat

from belljar.errors import Unenforceable
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Final

_MOST: Final = 12  # in one message
_PATIENCE: Final = 50
_NUMBERS: Final = 1 << 16
#: Kernel objects that lead nowhere by themselves (anon_inode:NAME).
_HARMLESS: Final = ("[eventpoll]", "[eventfd]", "[timerfd]", "[signalfd]")
#: What acts for its owner outside every filter, and cannot be had together with one.
_NEVER: Final = ("[io_uring]",)


class Descriptor(Value):
    """An open descriptor: its number, what it is for a person, whether it `listens`, whether it
    is a terminal, and whether it reaches anything that the grants do not give anyway."""

    fd: int
    what: str
    listens: bool = False
    terminal: bool = False
    reaches: bool = True


class Held(Value):
    """Everything that was there before the walls."""

    descriptors: tuple[Descriptor, ...]
    threads: tuple[str, ...]  # the other ones, by name and number
    maps: tuple[str, ...]  # writable and shared
    children: tuple[int, ...]


def look(rights: Mapping[str, str]) -> Held:
    """What there is now; `rights` are the granted paths with their letters.

    Raises `Unenforceable` without procfs, and for what no wall holds.
    """
    try:
        return Held(_descriptors(rights), threads(), _maps(), _children())
    except OSError as error:
        raise Unenforceable(
            "descriptors", f"what is open cannot be listed (/proc/self: {error.strerror})",
            "mount procfs, and confine before the root or the user is changed",
        ) from None  # fmt: skip


def look_again(first: Held) -> Held:
    """The same behind the walls of an earlier call, where there is no procfs: what was there then,
    and sockets by trying every number. Opened since was only what those walls allow."""
    from belljar._native import is_alone

    sockets = []
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    for number in (*range(min(most, _NUMBERS)), *(d.fd for d in first.descriptors)):
        try:
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                sockets.append(_socket(number))
        except OSError:
            continue  # not open
    others = {1: (), 0: ("threads that it has",)}.get(is_alone(), ("whatever threads it has",))
    return first.replace(descriptors=tuple(sockets), threads=others)


def told(items: Iterable[object]) -> str:
    """Some of them on one line."""
    texts = [str(item) for item in items]
    more = f" and {len(texts) - _MOST} more" if len(texts) > _MOST else ""
    line = ", ".join(texts[:_MOST]) + more
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


def _descriptors(rights: Mapping[str, str]) -> tuple[Descriptor, ...]:
    found = []
    for number in sorted(int(name) for name in os.listdir("/proc/self/fd")):
        try:
            status = os.fstat(number)
            path = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue  # the one that the listing itself used
        found.append(_describe(number, path, status, rights))
    return tuple(found)


def _describe(fd: int, path: str, status: os.stat_result, rights: Mapping[str, str]) -> Descriptor:
    import fcntl

    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    mode = {os.O_RDONLY: "reading", os.O_WRONLY: "writing"}.get(flags & os.O_ACCMODE, "both ways")
    kind = status.st_mode
    if flags & os.O_PATH:
        return Descriptor(fd, f"{fd} (handle of {path})")
    if path.startswith("anon_inode:"):
        name = path.partition(":")[2]
        if name in _NEVER:
            raise _never(name)
        return Descriptor(fd, f"{fd} ({name})", reaches=name not in _HARMLESS)
    if stat.S_ISSOCK(kind):
        return _socket(fd)
    if stat.S_ISFIFO(kind):
        return Descriptor(fd, f"{fd} (pipe, {mode})")
    if os.isatty(fd):
        return Descriptor(fd, f"{fd} (terminal {path})", terminal=True)
    needs = {"reading": "r", "writing": "w"}.get(mode, "rw")
    what = "directory" if stat.S_ISDIR(kind) else "device" if stat.S_ISCHR(kind) else "file"
    if what == "directory":
        needs = "l"
    letters = next((rights[p] for p in _upwards(path) if p in rights), "")
    return Descriptor(
        fd, f"{fd} ({what} {path}, {mode})", reaches=not set(needs) <= set(letters)
    )  # fmt: skip


def _upwards(path: str) -> Iterable[str]:
    while path not in ("", "/"):
        yield path
        path = path.rpartition("/")[0]


def _socket(fd: int) -> Descriptor:
    import socket

    one = socket.socket(fileno=os.dup(fd))
    try:
        kind = {socket.SOCK_STREAM: "stream", socket.SOCK_DGRAM: "datagram"}.get(
            one.type, "special"
        )
        listens = one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        try:
            peer = _address(one.getpeername())
            state = f"connected to {peer}" if peer else "connected"
        except OSError:
            state = f"listening at {_address(one.getsockname())}" if listens else "not connected"
        if state == "not connected" and one.family == socket.AF_UNIX:
            state = "not connected, reaches any path where connect is granted"
        if kind == "datagram":  # sendmsg takes an address whatever it is connected to
            state = "can send anywhere"
        family = {socket.AF_UNIX: "Unix", socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}.get(
            one.family, f"family {int(one.family)}"
        )
        return Descriptor(fd, f"{fd} ({family} {kind} socket, {state})", listens=listens)
    finally:
        one.close()


def _address(name: object) -> str:
    if isinstance(name, tuple) and len(name) >= 2:
        host = f"[{name[0]}]" if ":" in str(name[0]) else name[0]
        return f"{host}:{name[1]}"
    return os.fsdecode(name) if isinstance(name, (str, bytes)) else str(name)


def threads() -> tuple[str, ...]:
    """The threads but this one, as `name (number)`.

    One that was joined may need a moment to end.
    """
    from time import sleep

    for _ in range(_PATIENCE):
        if len(os.listdir("/proc/self/task")) == 1:
            return ()
        sleep(0.002)
    return _others()


def _others() -> tuple[str, ...]:
    from _thread import get_native_id

    own = get_native_id()
    found = []
    for name in os.listdir("/proc/self/task"):
        if int(name) == own:
            continue
        try:
            with open(f"/proc/self/task/{name}/comm", encoding="utf-8", errors="replace") as file:
                found.append(f"{file.read().strip()} ({name})")
        except FileNotFoundError:
            continue  # it has ended
    return tuple(found)


def still(held: Held, again: bool) -> bool:
    """Whether there are as many threads as when it was looked."""
    from belljar._native import is_alone

    if again:
        return bool(held.threads) or is_alone() == 1
    return held.threads == threads()


def capable_threads() -> bool:
    """Whether any thread has a capability: another one's cannot be dropped (capabilities(7))."""
    for name in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{name}/status", encoding="ascii", errors="replace") as file:
                lines = [line for line in file if line.startswith(("CapPrm", "CapEff", "CapInh"))]
        except FileNotFoundError:
            continue
        if any(int(line.split()[1], 16) for line in lines):
            return True
    return False


def _maps() -> tuple[str, ...]:
    found: dict[str, None] = {}
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields = line.rstrip("\n").split(None, 5)
            path = fields[5] if len(fields) > 5 else "without a name"
            if path.partition("anon_inode:")[2] in _NEVER:
                raise _never(path.partition(":")[2])
            if fields[1][1] == "w" and fields[1][3] == "s":
                found[path] = None
    return tuple(found)


def _children() -> tuple[int, ...]:
    found: list[int] = []
    for name in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{name}/children", encoding="ascii") as file:
                found += map(int, file.read().split())
        except FileNotFoundError:
            continue  # a thread that has ended, or a kernel without CONFIG_PROC_CHILDREN
    return tuple(found)


def memory() -> tuple[int, int]:
    """Bytes of data and of address space that this process has (proc_pid_status(5))."""
    sizes = {}
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith(("VmData:", "VmSize:")):
                sizes[line[:6]] = int(line.split()[1]) << 10
    return sizes.get("VmData", 0), sizes.get("VmSize", 0)


def _never(name: str) -> Unenforceable:
    return Unenforceable(
        "descriptors", f"{name} is open, and the kernel works for it outside every filter",
        "close it before",
    )  # fmt: skip
