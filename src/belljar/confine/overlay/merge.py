"""Take the changes of an overlay over into the host's directory.

Every step names one entry of an open directory and follows no link, so that neither a hostile tree
nor someone who exchanges directories meanwhile leads anywhere else. Files are put in place whole,
by `rename`: what had another name by a hard link is not written.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os

from belljar.confine.overlay import remove, root
from belljar.confine.overlay.changes import MOST, Change, walk
from belljar.confine.overlay.removal import (
    close_own,
    mount_of,
    open_directory,
    open_own,
    remove_beneath,
)
from belljar.errors import BelljarError
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from belljar.confine.overlay.changes import Here

_CHUNK = 1 << 20
#: What a run takes for its owner's where nobody names another.
_FOUND = ("pyproject.toml", ".venv")


class Store(Value):
    """Changes that wait: `directory` is the host's, `started` nanoseconds since 1970."""

    name: str
    path: str
    directory: str
    device: int
    inode: int
    started: int


class Busy(BelljarError):
    """Its guest still runs."""


def stores() -> list[Store]:
    """All that wait, the oldest first; what is no store is left out."""
    try:
        names = os.listdir(root())
    except FileNotFoundError:
        return []
    found = [store for name in names if (store := _read(name)) is not None]
    return sorted(found, key=lambda store: store.started)


def find(name: str) -> Store:
    """The store of that name, or the newest for `last`. Raises `BelljarError`."""
    if name == "last":
        every = stores()
        if not every:
            raise BelljarError("no changes wait")
        return every[-1]
    plain = name and all(c in "0123456789abcdef-" for c in name)
    store = _read(name) if plain else None
    if store is None:
        raise BelljarError(f"no changes are called {name}; belljar apply lists what waits")
    return store


def _read(name: str) -> Store | None:
    path = os.path.join(root(), name)
    try:
        with open(os.path.join(path, "about.json"), encoding="ascii") as file:
            about = json.loads(file.read(1 << 16))
        numbers = [int(about[key]) for key in ("device", "inode", "started")]
        return Store(name, path, str(about["directory"]), *numbers)
    except (OSError, ValueError, KeyError, TypeError):
        return None


class Pending:
    """A store, locked and open beside its directory. Raises `Busy` and `BelljarError`.

    >>> with Pending(find("last")) as pending:  # doctest: +SKIP
    ...     changes = pending.changes()
    """

    def __init__(self, store: Store, *, links: bool = False) -> None:
        self.store = store
        self._links = links
        self._open: list[int] = []

    def __enter__(self) -> Pending:
        store = self.store
        folder = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            lock = os.open(store.path, folder)
            self._open.append(lock)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            data = os.open("data", folder, dir_fd=lock)
            self._open.append(data)
            self._upper, self._shut = open_own("upper", data)
        except BlockingIOError:
            self._close()
            raise Busy(f"{store.name}: its guest still runs, or another apply does") from None
        except OSError as error:
            self._close()
            raise BelljarError(f"{store.name}: {error.strerror}") from error
        try:
            self._host = os.open(store.directory, folder)
        except OSError as error:
            self.__exit__()
            raise BelljarError(f"{store.directory}: {error.strerror}") from error
        self._open.append(self._host)
        stat = os.fstat(self._host)
        if (stat.st_dev, stat.st_ino) != (store.device, store.inode):
            self.__exit__()
            raise BelljarError(f"{store.directory} is not the directory that the guest saw")
        return self

    def __exit__(self, *_exception: object) -> None:
        close_own(self._upper, self._shut)
        self._close()

    def _close(self) -> None:
        while self._open:
            os.close(self._open.pop())

    def _walk(self) -> Iterator[tuple[Change, Here]]:
        found = walk(self._upper, self._host, self.store.started, links=self._links)
        for count, pair in enumerate(found, 1):
            if count > MOST:
                raise BelljarError(f"{self.store.name}: more than {MOST} changes")
            yield pair

    def changes(self) -> list[Change]:
        """Every change, and what would be refused. Raises `BelljarError`."""
        try:
            return [change for change, _ in self._walk() if change.kind != "end"]
        except OSError as error:
            raise _trouble(self.store, error) from error

    def merge(self, tell: Callable[[Change], None], *, force: bool = False) -> int:
        """Take all over that is not refused; returns their number. `tell` is called after each.

        Raises `BelljarError` where it stops, and without `force` also where the host changed
        something since `changes` was asked; what was not taken over still waits.
        """
        done, path = 0, "."
        try:
            for change, here in self._walk():
                path = change.path
                if change.later and not force and change.kind != "refused":
                    raise OSError(errno.ESTALE, "the host changed it just now (--force)")
                if change.kind != "refused":
                    _apply(change, here)
                    self._note(change)
                    done += change.kind != "end"
                if change.kind != "end":
                    tell(change)
        except OSError as error:
            raise _trouble(self.store, error, path, done) from error
        return done

    def _note(self, change: Change) -> None:
        """What later runs would find and obey is a guest's work, merged or not (`distrust.py`)."""
        from belljar.confine.cache import cache_directory
        from belljar.confine.distrust import remember

        if change.kind not in ("added", "changed"):
            return
        parts = change.path.split("/")
        for number, part in enumerate(parts, 1):
            if part in _FOUND and (cache := cache_directory()) is not None:
                remember(cache, os.path.join(self.store.directory, *parts[:number]))


def drop(store: Store) -> None:
    """Forget the changes. Raises `Busy`, `BelljarError`."""
    lock = os.open(store.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove(store.path)
    except BlockingIOError:
        raise Busy(f"{store.name}: its guest still runs, or another apply does") from None
    except OSError as error:
        raise _trouble(store, error) from error
    finally:
        os.close(lock)


def _trouble(store: Store, error: OSError, path: str = "", done: int = 0) -> BelljarError:
    where = f" at {path}" if path else ""
    rest = f"; {done} changes were taken over, the rest still waits" if path else ""
    return BelljarError(f"{store.name}{where}: {error.strerror}{rest}")


def _apply(change: Change, here: Here) -> None:
    if change.path == ".":
        assert here.host is not None
        os.fchmod(here.host, change.mode)
        return
    if here.host is None:
        raise OSError(2, "its directory is not there")
    if change.kind == "deleted":
        remove_beneath(here.host, here.name)
    elif change.kind in ("mode", "end"):
        if not _set_mode(here.host, here.name, change.mode):
            _put(change, here, here.host)
    elif change.what == "directory":
        if here.was is not None:
            remove_beneath(here.host, here.name)
        os.mkdir(here.name, 0o700, dir_fd=here.host)
        made = open_directory(here.name, here.host)  # no file that was put there meanwhile
        try:
            _own(here.host, here, made)
        finally:
            os.close(made)
    else:
        _put(change, here, here.host)


def _set_mode(host: int, name: str, mode: int) -> bool:
    """False, and nothing done, for a file that has another name: that may lie outside."""
    pinned = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=host)
    try:
        stat = os.fstat(pinned)
        if stat.st_mode & 0o170000 == 0o120000:
            raise OSError(40, "became a link")
        if mount_of(pinned) != mount_of(host):
            raise OSError(18, "something else is mounted there")
        if stat.st_mode & 0o170000 != 0o040000 and stat.st_nlink > 1:
            return False
        os.chmod(f"/proc/self/fd/{pinned}", mode)
        return True
    finally:
        os.close(pinned)


def _put(change: Change, here: Here, host: int) -> None:
    temporary = f".belljar-{os.urandom(8).hex()}"
    if change.what == "link":
        os.symlink(os.readlink(here.name, dir_fd=here.upper), temporary, dir_fd=host)
        _own(host, here, temporary)
    else:
        _copy(change, here, host, temporary)
    try:
        if here.was is not None and here.was.st_mode & 0o170000 == 0o040000:
            remove_beneath(host, here.name)
        os.rename(temporary, here.name, src_dir_fd=host, dst_dir_fd=host)
    except OSError:
        os.unlink(temporary, dir_fd=host)
        raise


def _copy(change: Change, here: Here, host: int, temporary: str) -> None:
    source, shut = open_own(here.name, here.upper)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    target = -1
    try:
        target = os.open(temporary, flags, 0o600, dir_fd=host)
        while chunk := os.read(source, _CHUNK):
            if not chunk.strip(b"\0"):  # a hole costs the guest nothing: nor does it here
                os.lseek(target, len(chunk), os.SEEK_CUR)
                continue
            view = memoryview(chunk)
            while view:
                view = view[os.write(target, view) :]
        os.ftruncate(target, os.lseek(target, 0, os.SEEK_CUR))
        _own(host, here, target)
        os.fchmod(target, change.mode)
        os.utime(target, ns=(here.stat.st_atime_ns, here.stat.st_mtime_ns))
    except OSError:
        if target >= 0:
            os.unlink(temporary, dir_fd=host)
        raise
    finally:
        if target >= 0:
            os.close(target)
        close_own(source, shut)


def _own(host: int, here: Here, made: str | int) -> None:
    """Root gives what it makes to who had it, or who has the directory."""
    if os.geteuid() != 0:
        return
    owner = here.was or os.fstat(host)
    if isinstance(made, int):
        os.fchown(made, owner.st_uid, owner.st_gid)
    else:
        os.chown(made, owner.st_uid, owner.st_gid, dir_fd=host, follow_symlinks=False)
