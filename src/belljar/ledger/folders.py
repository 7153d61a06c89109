"""Going down into a ledger's folders by descriptors: nothing there can lead anywhere else.

Whoever reads or writes a ledger may have more rights than who can put a link into it. So each step
is `openat` with `O_DIRECTORY | O_NOFOLLOW`, and files are opened, renamed and removed in the folder
that was reached. Only the ledger's own directory may be named by a link. Who does more than one
thing there holds it (`Held`): its neighbours may put another into its place at any moment.
"""

from __future__ import annotations

import os
import stat
from errno import EINVAL, ELOOP, ENOTDIR

from belljar.errors import LedgerCorrupt, LedgerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from belljar.ledger.patience import Patience

_TOP: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_STEP: Final = _TOP | os.O_NOFOLLOW
_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
#: What `OSError` says where a link, a pipe or a file is in the place of something else.
_STRANGE: Final = (ELOOP, ENOTDIR, EINVAL)


class Held(str):
    """A ledger's directory, open: `fd` is what is meant, the text only its name, for messages.

    Goes wherever a directory's path does in this room, and lasts as long as anybody has it.

    >>> Held("/", os.open("/", os.O_PATH))
    '/'
    """

    __slots__ = ("fd", "patience")
    fd: int
    patience: Patience | None

    def __new__(cls, path: str, fd: int) -> Held:
        """Takes `fd` over."""
        made = super().__new__(cls, path)
        made.fd = fd
        made.patience = None
        return made

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        close(self.fd)


def held(directory: str) -> Held:
    """`directory`, held for reading; itself where it is already. A link may name it, and it may be
    anybody's: who writes there takes `use.opened`. Raises `OSError`."""
    return directory if isinstance(directory, Held) else Held(directory, os.open(directory, _TOP))


def real(directory: str) -> str:
    """Where it lies, no link in its name; what is held, wherever its name leads by now.

    >>> real("/")
    '/'
    """
    if isinstance(directory, Held):
        try:
            return os.readlink(f"/proc/self/fd/{directory.fd}")
        except OSError:  # no /proc here: what its name leads to has to do
            return os.path.realpath(directory)
    return os.path.realpath(directory)


def enter(directory: str, folder: str = "", *, make: bool = False) -> int:
    """A descriptor of `folder`, such as `tile/0/x001`, in the ledger in `directory`.

    With `make`, folders that are missing are made (0700), and one that is not this user's own, or
    that others can write, is refused with `PermissionError`. Raises `OSError` (`ENOTDIR`: a link).

    >>> os.close(enter("/"))
    """
    if isinstance(directory, Held):
        fd = os.open(".", _TOP, dir_fd=directory.fd)
    else:
        fd = os.open(directory, _TOP)
    try:
        for name in folder.split("/") if folder else ():
            try:
                deeper = os.open(name, _STEP, dir_fd=fd)
            except FileNotFoundError:
                if not make:
                    raise
                os.mkdir(name, 0o700, dir_fd=fd)
                deeper = os.open(name, _STEP, dir_fd=fd)
            os.close(fd)
            fd = deeper
            if make:
                _own(fd, folder)
    except BaseException:
        os.close(fd)
        raise
    return fd


def status(directory: str, name: str) -> os.stat_result | None:
    """`lstat` of what is called `name` in a ledger; None where there is nothing. Raises `OSError`.

    >>> status("/no/such/ledger", "keys/fixed") is None
    True
    """
    folder, _, base = name.rpartition("/")
    try:
        inside = enter(directory, folder)
    except FileNotFoundError:
        return None
    try:
        return os.stat(base, dir_fd=inside, follow_symlinks=False)
    except FileNotFoundError:
        return None
    finally:
        os.close(inside)


def there(directory: str, *names: str) -> bool:
    """Whether any of `names` is in a ledger, whatever it is. Raises `LedgerError`."""
    for name in names:
        try:
            if status(directory, name) is not None:
                return True
        except OSError as error:
            raise cannot(directory, name, error) from error
    return False


def names(directory: str, folder: str) -> list[str]:
    """What is in `folder` of a ledger; nothing where there is none. Raises `LedgerError`, for a
    link in its place `LedgerCorrupt`."""
    try:
        fd = enter(directory, folder)
        try:
            return os.listdir(fd)
        finally:
            os.close(fd)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise cannot(directory, folder, error) from error


def read(directory: str, name: str, most: int) -> bytes | None:
    """The first `most` bytes of the file `name` of a ledger; None where there is none.

    No link is followed, no pipe waited on. Raises `LedgerError`, and `LedgerCorrupt` for what is
    no regular file.
    """
    folder, _, base = name.rpartition("/")
    try:
        fd = enter(directory, folder)
        try:
            return read_at(fd, base, most)
        finally:
            os.close(fd)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise cannot(directory, name, error) from error


def open_at(folder: int | None, name: str) -> int:
    """The regular file `name` in the folder open at `folder` (None: a path), for reading.

    It is read without waiting and no link is followed. Raises `OSError`.
    """
    fd = os.open(name, _READ, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(EINVAL, "not a regular file")
    return fd


def read_at(folder: int | None, name: str, most: int) -> bytes:
    """The first `most` bytes of a regular file. Raises `OSError`."""
    fd = open_at(folder, name)
    try:
        parts = []
        while most > 0 and (part := os.read(fd, min(most, 1 << 20))):
            parts.append(part)
            most -= len(part)
        return b"".join(parts)
    finally:
        os.close(fd)


def sync(directory: str, folder: str = "") -> None:
    """Wait until the disk has the names in a folder. Raises `OSError`."""
    fd = enter(directory, folder)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def cannot(directory: str, name: str, error: OSError) -> LedgerError:
    """The error that says so in one line."""
    if error.errno in _STRANGE:
        what = "is a link, or not what it must be"
        return LedgerCorrupt(f"{name} {what}: {error.strerror}; it is not followed", 0)
    return LedgerError(f"cannot read {name} in {directory}: {error.strerror}")


def _own(fd: int, folder: str) -> None:
    found = os.fstat(fd)
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PermissionError(1, f"{folder} is not only ours to write")
