"""Who is at the other end of a Unix socket, as the kernel says: nothing here is the sender's word.

`SO_PEERCRED` is who connected. `SO_PEERPIDFD` (Linux 6.5) holds that process itself, so that what
/proc says of its number is not said of another that came after it.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import struct

from belljar.errors import LedgerError
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

_CREDENTIALS: Final = struct.Struct("<3i")
_PEER_PIDFD: Final = 77
_MOST_TEXT: Final = 4096
_START: Final = 19  # field 22 of /proc/PID/stat, behind the name


class Sender(Value):
    """A process that connected. `pid`, `uid` and `gid` are what they were when it did.

    `start` is clock ticks since the machine started (`boot` says which start of it): with it a
    number that is used again is another process. `executable` is empty where /proc does not tell
    (it does not tell other users' without CAP_SYS_PTRACE). `name` is what the process calls
    itself and is its own word; `cgroup` is the kernel's. `by` is `pidfd` where the process was
    held while all this was read, `pid` where only its number was known, `gone` where it ended
    before it could be read: then only pid, uid and gid are known.
    """

    pid: int
    uid: int
    gid: int
    by: str = "gone"
    start: int = 0
    executable: str = ""
    name: str = ""
    cgroup: str = ""
    boot: str = ""

    def plain(self) -> dict[str, Any]:
        """As a SENDER record has it: what is not known is left out."""
        fields = {name: getattr(self, name) for name in self.__fields__}
        return {name: value for name, value in fields.items() if value != ""}


def of(connection: socket.socket) -> Sender:
    """Who connected. Raises `LedgerError` where the kernel does not say."""
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError as error:
        raise LedgerError(f"the kernel does not tell who connected: {error.strerror}") from error
    pid, uid, gid = _CREDENTIALS.unpack(raw)
    bare = Sender(pid, uid & 0xFFFFFFFF, gid & 0xFFFFFFFF)
    if pid <= 0:
        return bare  # of a PID namespace that this one cannot see into
    held, by = _hold(connection, pid)
    if held < 0:
        return bare
    try:
        start, name = _stat(pid)
        found = bare.replace(
            by=by,
            start=start,
            name=name,
            executable=_executable(pid),
            cgroup=_cgroup(pid),
            boot=_boot(),
        )
        return found if start and _still(held) else bare
    finally:
        os.close(held)


def _hold(connection: socket.socket, pid: int) -> tuple[int, str]:
    """A descriptor of the process, -1 where it has ended, and how sure it is the right one."""
    try:
        return connection.getsockopt(socket.SOL_SOCKET, _PEER_PIDFD), "pidfd"
    except OSError as error:
        if error.errno not in (errno.ENOPROTOOPT, errno.EINVAL, errno.EOPNOTSUPP):
            return -1, "gone"
    try:
        return os.pidfd_open(pid), "pid"
    except OSError:
        return -1, "gone"


def _still(held: int) -> bool:
    """Does the process still have its number? Then what was read under it was read of it."""
    try:
        signal.pidfd_send_signal(held, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # of another user, and there
    return True


def _stat(pid: int) -> tuple[int, str]:
    """When it started and what it calls itself; (0, "") where it has ended."""
    text = _read(f"/proc/{pid}/stat")
    head, _, rest = text.rpartition(")")
    fields = rest.split()
    if len(fields) <= _START or not fields[_START].isdigit():
        return 0, ""
    return int(fields[_START]), _sound(head.partition("(")[2])


def _executable(pid: int) -> str:
    try:
        return _sound(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return ""


def _cgroup(pid: int) -> str:
    """The path in the one hierarchy of cgroup 2: under systemd it names the service."""
    for line in _read(f"/proc/{pid}/cgroup").split("\n"):
        if line.startswith("0::"):
            return _sound(line[3:])
    return ""


def _boot() -> str:
    return _read("/proc/sys/kernel/random/boot_id").strip()


def _read(path: str) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, _MOST_TEXT).decode("utf-8", "surrogateescape")
    except OSError:
        return ""
    finally:
        os.close(fd)


def _sound(text: str) -> str:
    """No surrogates: MessagePack has no place for them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")[:_MOST_TEXT]
