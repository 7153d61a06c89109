"""The folder `sinks/` of a ledger, held by a descriptor: read, replace, lock.

A sink's file is an instruction: connect there, append to that. So what feeds sinks only obeys files
(`ours`) that belong to its own user, in a folder of its own user, and that nobody else may write;
who merely shows or verifies reads others', too. Never through a symbolic link, never from what
is no regular file, never more than a bound.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from contextlib import suppress

from belljar.errors import LedgerError
from belljar.ledger.folders import held
from belljar.ledger.way import reach

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, Self

FOLDER: Final = "sinks"
MOST_BYTES: Final = 1 << 20
_FLAGS: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_EROFS: Final = 30
_STALE: Final = 60  # seconds after which a temporary file is what somebody killed left


class Folder:
    """`sinks/` of the ledger in `directory`; a context manager.

    With `ours` it and its files must belong to this user. `make` creates it in a ledger that does.
    Raises `FileNotFoundError` where there is none, `LedgerError` where it is not to be trusted.

    >>> with Folder("/var/lib/belljar/ledger", ours=True) as folder:  # doctest: +SKIP
    ...     folder.names()
    ['ledger', 'lock']
    """

    def __init__(self, directory: str, *, ours: bool, make: bool = False) -> None:
        self.path = os.path.join(directory, FOLDER)
        self._ours = ours
        try:
            ledger = reach(directory) if ours else held(directory)
            if make:
                whose = os.fstat(ledger.fd)
                _mine(directory, whose, "its sinks are registered by its user")
                with suppress(FileExistsError):  # what it is, is looked at below
                    os.mkdir(FOLDER, 0o700, dir_fd=ledger.fd)
            self._fd = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY | _FLAGS, dir_fd=ledger.fd)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise LedgerError(f"cannot read {self.path}: {error.strerror}") from error
        try:
            if ours:
                _mine(self.path, os.fstat(self._fd), "nothing is sent for it")
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        os.close(self._fd)

    def names(self) -> list[str]:
        """The names of the files."""
        return sorted(os.listdir(self._fd))

    def read(self, name: str, most: int = MOST_BYTES) -> bytes | None:
        """A file's bytes; None where there is none. Raises `LedgerError`."""
        path = os.path.join(self.path, name)
        try:
            fd = os.open(name, os.O_RDONLY | _FLAGS, dir_fd=self._fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LedgerError(f"cannot read {path}: {error.strerror}") from error
        with open(fd, "rb") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise LedgerError(f"{path} is no regular file; remove it")
            if self._ours:
                _mine(path, found, "nothing is sent for it")
            data = file.read(most + 1)
        if len(data) > most:
            raise LedgerError(f"{path} is longer than {most} bytes; remove it")
        return data

    def put(self, name: str, data: bytes) -> None:
        """Replace a file as a whole; the disk has it when this returns. Raises `OSError`."""
        temporary = f"{name}.{os.getpid()}.{time.monotonic_ns():x}.tmp"
        try:
            self._write(temporary, data)
            os.replace(temporary, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        except BaseException:
            self.unlink(temporary)
            raise

    def once(self, name: str, data: bytes) -> None:
        """Make a file that is not there yet, whole at once; one that is there stays."""
        temporary = f"{name}.{os.getpid()}.{time.monotonic_ns():x}.tmp"
        try:
            self._write(temporary, data)
            os.link(temporary, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        except FileExistsError:
            return  # another process was first: its counts
        finally:
            self.unlink(temporary)

    def unlink(self, name: str) -> bool:
        """Remove a file; False where there is none. Raises `OSError`."""
        try:
            os.unlink(name, dir_fd=self._fd)
        except FileNotFoundError:
            return False
        return True

    def lock(self, name: str) -> int:
        """A descriptor that holds the lock `name`. Raises `BlockingIOError` where another has."""
        flags = os.O_RDWR | os.O_CREAT | _FLAGS
        try:
            fd = os.open(name, flags, 0o600, dir_fd=self._fd)
        except OSError as error:
            if error.errno != _EROFS:
                raise
            fd = os.open(name, os.O_RDONLY | _FLAGS, dir_fd=self._fd)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise
        return fd

    def locked(self, name: str) -> bool:
        """Whether a process holds the lock `name`. Raises `OSError`."""
        try:
            fd = os.open(name, os.O_RDONLY | _FLAGS, dir_fd=self._fd)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def sweep(self) -> None:
        """Remove what processes that were killed left half written."""
        now = time.time()
        for name in self.names():
            if name.endswith(".tmp"):
                try:
                    found = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
                    if abs(now - found.st_mtime) > _STALE:
                        self.unlink(name)
                except OSError:
                    continue  # somebody else's just now, or the disk is read-only

    def _write(self, name: str, data: bytes) -> None:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600, dir_fd=self._fd)
        try:
            if os.write(fd, data) != len(data):
                raise OSError(28, "No space left on device")
            os.fsync(fd)
        finally:
            os.close(fd)


def _mine(path: str, found: os.stat_result, so: str) -> None:
    """Raise `LedgerError` unless `path` belongs to this user, and to nobody else."""
    if found.st_uid != os.geteuid():
        raise LedgerError(
            f"{path} belongs to another user (uid {found.st_uid}, this is {os.geteuid()}): {so}"
        )
    if found.st_mode & _OTHERS and not stat.S_ISLNK(found.st_mode):
        raise LedgerError(
            f"{path} can be written by others, who could send it anywhere: chmod go-w it"
        )
