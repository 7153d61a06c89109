"""Open files and sockets that are handed over: the descriptor itself, with its mode, nothing more.

What holds a descriptor can do all that it allows, without the host and for good. So only regular
files and stream sockets are handed over, and none that allows more than its object says.
"""

from __future__ import annotations

import io
import os
import stat

from belljar.errors import BelljarError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

_PATH: Final = 0o10000000  # O_PATH, which names a file and opens nothing
_KERNEL: Final = ("/proc/", "/sys/", "/dev/")
_STREAMS: Final = (1, 5)  # SOCK_STREAM, SOCK_SEQPACKET
_FAMILIES: Final = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6
_MODES: Final = {os.O_RDONLY: "rb", os.O_WRONLY: "wb", os.O_RDWR: "r+b"}


def is_open(obj: object) -> bool:
    """Whether `obj` is something open that could be handed over."""
    if isinstance(obj, io.IOBase):
        return not isinstance(obj, (io.BytesIO, io.StringIO))
    import _socket

    return isinstance(obj, _socket.socket)


class Descriptor:
    """A descriptor of the host's own for what `obj` has open; `form` is how the guest opens it
    (`rb`, `wb`, `r+b`, with `:` and an encoding for text; `socket`).

    A file is opened anew, at the same place: guest and host move independently. A socket is shared:
    leave it to the guest. Raises `BelljarError` for what is not handed over, with the reason.
    """

    __slots__ = ("fd", "form", "given")
    ends_with_its_share = True

    def __init__(self, obj: Any) -> None:
        self.fd = -1
        self.given = False
        try:
            number = obj.fileno()
            kind = os.fstat(number).st_mode
        except (OSError, ValueError):
            raise _no("it is closed, or has no descriptor") from None
        if stat.S_ISREG(kind):
            self.form = _file_form(obj, number)
            self.fd = _opened_anew(obj, number)
        elif stat.S_ISSOCK(kind):
            self.form = "socket"
            _check_socket(number)
            self.fd = os.dup(number)
        else:
            what = "a directory" if stat.S_ISDIR(kind) else "a pipe, a terminal or a device"
            raise _no(f"it is {what}; regular files and stream sockets are")

    def close(self) -> None:
        """Let go of it; what the guest was given stays with the guest."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()


def _no(why: str) -> BelljarError:
    return BelljarError(f"this cannot be handed over: {why}")


def _file_form(obj: Any, number: int) -> str:
    import fcntl

    flags = fcntl.fcntl(number, fcntl.F_GETFL)
    if flags & _PATH:
        raise _no("it was opened with O_PATH")
    mode = flags & os.O_ACCMODE
    if flags & os.O_APPEND and mode != os.O_RDONLY:
        why = "who holds it can take its append mode off; share belljar.caps.AppendFile(path)"
        raise _no(why)
    if (mode != os.O_WRONLY and not obj.readable()) or (mode != os.O_RDONLY and not obj.writable()):
        raise _no("its descriptor allows more than the object; open the file in the mode you mean")
    if os.readlink(f"/proc/self/fd/{number}").startswith(_KERNEL):
        raise _no("it is a file of the kernel's own")
    text = isinstance(obj, io.TextIOBase)
    return f"{_MODES[mode]}:{obj.encoding}" if text else _MODES[mode]


def _opened_anew(obj: Any, number: int) -> int:
    import fcntl

    if obj.writable():
        obj.flush()
    mode = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE
    try:
        fd = os.open(f"/proc/self/fd/{number}", mode | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        raise _no(f"the file cannot be opened once more: {os.strerror(error.errno or 0)}") from None
    old, new = os.fstat(number), os.fstat(fd)
    if (old.st_dev, old.st_ino) != (new.st_dev, new.st_ino):
        os.close(fd)
        raise _no("another file is in its place")
    try:
        os.lseek(fd, obj.tell(), os.SEEK_SET)  # of text it may be more than a place
    except (OSError, OverflowError):
        os.close(fd)
        raise _no("where it stands cannot be told; hand it over before it is read") from None
    return fd


def _check_socket(number: int) -> None:
    import _socket

    one = _socket.socket(fileno=os.dup(number))
    try:
        if one.family not in _FAMILIES or one.type not in _STREAMS:
            raise _no("of sockets, those of streams are handed over")
        if not one.getsockopt(_socket.SOL_SOCKET, _socket.SO_ACCEPTCONN):
            try:
                one.getpeername()
            except OSError:
                raise _no("the socket is neither connected nor listening") from None
    finally:
        one.close()
