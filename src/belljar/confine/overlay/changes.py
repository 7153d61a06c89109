"""What a guest changed beneath an overlay: its upper layer compared with the host's directory.

All in the upper layer is the guest's work and hostile: it is walked by descriptors, no link is
followed, no pipe is opened. Marks of the overlay: a character device 0:0 is a deletion, the
attribute `user.overlay.opaque` a directory that hides the host's.
"""

from __future__ import annotations

import errno
import os

from belljar.confine.overlay.removal import (
    DEEPEST,
    close_own,
    newer_beneath,
    open_directory,
    open_own,
    some,
)
from belljar.confine.sensitive import obeyed
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_FILE, _FOLDER, _LINK, _DEVICE = 0o100000, 0o040000, 0o120000, 0o020000
_KINDS = {_FILE: "file", _FOLDER: "directory", _LINK: "link", 0o010000: "fifo",
          0o140000: "socket", _DEVICE: "device", 0o060000: "device"}  # fmt: skip
_CHUNK = 1 << 20
#: More changes than these are no list that anyone reads.
MOST = 100_000


class Change(Value):
    """One difference. `path` is relative to the directory, chosen by the guest: escape it.

    `kind` is `added`, `changed`, `mode`, `deleted` or `refused` (and `end` behind all that lies in
    a directory that was made); `what` a file, directory, link, fifo, socket or device; `detail`
    what more there is to say; `mode` what it would get. `later`: the host changed it after the run
    began. `runs`: something may execute or obey it.
    """

    kind: str
    path: str
    what: str
    detail: str = ""
    mode: int = 0
    later: bool = False
    runs: bool = False


class Here(Value):
    """Where a change lies: open directories of the upper layer and, where it exists, the host."""

    upper: int
    host: int | None
    name: str
    stat: os.stat_result
    was: os.stat_result | None


def walk(upper: int, host: int, started: int, *, links: bool) -> Iterator[tuple[Change, Here]]:
    """Every change, parents first, with descriptors that are open until the next is asked for.

    A directory that the caller makes on the host before it asks for the next is entered there.
    `links` allows symbolic links that lead out of the directory. Raises `OSError`.
    """
    walker = _Walker(os.fstat(host).st_dev, started, links)
    old, new = os.fstat(host), os.fstat(upper)
    yield from walker.directory(upper, host, "", 0)
    if old.st_mode & 0o777 != new.st_mode & 0o777:
        change = Change("mode", ".", "directory", _modes(old, new), new.st_mode & 0o777)
        yield change, Here(upper, host, ".", new, old)


class _Walker:
    def __init__(self, device: int, started: int, links: bool) -> None:
        self._device = device
        self._started = started
        self._links = links

    def directory(
        self, upper: int, host: int | None, path: str, depth: int
    ) -> Iterator[tuple[Change, Here]]:
        names = sorted(some(upper, MOST + 1))
        if len(names) > MOST:
            raise OSError(errno.EFBIG, f"more than {MOST} changes in a directory")
        opaque = _attribute(upper, "opaque")
        if opaque and host is not None:
            for name in sorted(set(os.listdir(host)) - set(names)):
                gone = os.stat(name, dir_fd=host, follow_symlinks=False)
                yield self._deleted(path + name, gone, host), Here(upper, host, name, gone, gone)
        for name in names:
            stat = os.stat(name, dir_fd=upper, follow_symlinks=False)
            was = _look(name, host)
            here = Here(upper, host, name, stat, was)
            kind = stat.st_mode & 0o170000
            if kind == _DEVICE and stat.st_rdev == 0:
                if was is not None:
                    assert host is not None
                    yield self._deleted(path + name, was, host), here
            elif kind == _FOLDER:
                yield from self._folder(here, path + name, depth, opaque)
            elif kind == _FILE:
                yield from self._file(here, path + name)
            elif kind == _LINK:
                yield from self._link(here, path + name)
            else:
                yield Change("refused", path + name, _KINDS[kind], "is never taken over"), here

    def _deleted(self, path: str, was: os.stat_result, host: int) -> Change:
        what = _KINDS[was.st_mode & 0o170000]
        detail = "with all beneath it" if what == "directory" else ""
        later = newer_beneath(host, path.rpartition("/")[2], self._started)
        return Change("deleted", path, what, detail, 0, later, obeyed(path))

    def _folder(
        self, here: Here, path: str, depth: int, hidden: bool
    ) -> Iterator[tuple[Change, Here]]:
        was, mode = here.was, here.stat.st_mode & 0o777
        if depth == DEEPEST:
            yield Change("refused", path, "directory", f"deeper than {DEEPEST} directories"), here
            return
        fd, shut = open_own(here.name, here.upper)
        try:
            if _attribute(fd, "redirect"):
                yield Change("refused", path, "directory", "an overlay's redirection"), here
                return
            folder = was is not None and was.st_mode & 0o170000 == _FOLDER
            if was is not None and folder and was.st_dev != self._device:
                yield Change("refused", path, "directory", "another file system is there"), here
                return
            if was is None or not folder:
                detail = "" if was is None else f"instead of a {_KINDS[was.st_mode & 0o170000]}"
                kind = "added" if was is None else "changed"
                later = self._later(here)
                yield Change(kind, path, "directory", detail, mode, later, obeyed(path)), here
            try:
                child = _enter(here.name, here.host)
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EPERM, errno.EXDEV):
                    raise
                mounted = error.errno == errno.EXDEV  # the guest saw what lies beneath it
                why = "another file system is there" if mounted else "the host's is closed to you"
                yield Change("refused", path, "directory", why), here
                return
            try:
                yield from self.directory(fd, child, path + "/", depth + 1)
            finally:
                if child is not None:
                    os.close(child)
            if was is None or not folder:  # its mode may close it to us
                yield Change("end", path, "directory", "", mode), here
            if was is not None and folder and was.st_mode & 0o777 != mode:
                detail = _modes(was, here.stat)
                yield Change("mode", path, "directory", detail, mode, False, obeyed(path)), here
        finally:
            close_own(fd, shut)

    def _file(self, here: Here, path: str) -> Iterator[tuple[Change, Here]]:
        was, stat = here.was, here.stat
        mode = stat.st_mode & 0o777
        details = []
        if stat.st_mode & 0o6000:
            details.append("set-id bits are left out")
        runs = obeyed(path) or bool(mode & 0o111)
        if was is None:
            kind = "added"
        elif was.st_mode & 0o170000 != _FILE:
            kind = "changed"
            details.append(f"instead of a {_KINDS[was.st_mode & 0o170000]}")
        else:
            kind = "mode" if self._same(here) else "changed"
            if was.st_mode & 0o777 != mode:
                details.append(_modes(was, stat))
            elif kind == "mode":
                return
        if kind == "added" and mode & 0o111:
            details.append("executable")
        later = self._later(here)
        yield Change(kind, path, "file", ", ".join(details), mode, later, runs), here

    def _same(self, here: Here) -> bool:
        if here.was is None or here.host is None or here.was.st_size != here.stat.st_size:
            return False
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            theirs = os.open(here.name, flags, dir_fd=here.host)
        except OSError:
            return False  # unreadable: then it is told as changed
        try:
            ours, shut = open_own(here.name, here.upper)
            try:
                while chunk := os.read(ours, _CHUNK):
                    if chunk != os.read(theirs, len(chunk)):
                        return False
                return not os.read(theirs, 1)
            finally:
                close_own(ours, shut)
        finally:
            os.close(theirs)

    def _link(self, here: Here, path: str) -> Iterator[tuple[Change, Here]]:
        target = os.readlink(here.name, dir_fd=here.upper)
        was = here.was
        if was is not None and was.st_mode & 0o170000 == _LINK:
            assert here.host is not None
            if os.readlink(here.name, dir_fd=here.host) == target:
                return
        kind, detail = "added" if was is None else "changed", f"-> {target}"
        if not self._links and leads_out(path, target):
            kind, detail = "refused", f"-> {target}, which leads out of the directory"
        yield Change(kind, path, "link", detail, 0, self._later(here), obeyed(path)), here

    def _later(self, here: Here) -> bool:
        """Whether what this would replace was changed since: a directory with all beneath it."""
        if here.was is None or here.host is None:
            return False
        return newer_beneath(here.host, here.name, self._started)


def leads_out(path: str, target: str) -> bool:
    """Whether the link `path` in a directory leads out of it, by its letters: also where `..`
    stands behind a name, which may be a link to less deep a place (`z` to `.`: `z/..` is outside).

    >>> leads_out("a/b", "../c"), leads_out("a/b", "../../c"), leads_out("a", "/etc")
    (False, True, True)
    >>> leads_out("a", "z/..")
    True
    """
    parts = [part for part in target.split("/") if part not in ("", ".")]
    up = parts.count("..")
    return target.startswith("/") or up > path.count("/") or ".." in parts[up:]


def _look(name: str, host: int | None) -> os.stat_result | None:
    if host is None:
        return None
    try:
        return os.stat(name, dir_fd=host, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _enter(name: str, host: int | None) -> int | None:
    """The host's directory, or None where there is none (or something else)."""
    if host is None:
        return None
    try:
        return open_directory(name, host)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == 40:  # ELOOP: a link
            return None
        raise


def _attribute(fd: int, name: str) -> bool:
    try:
        return bool(os.getxattr(fd, f"user.overlay.{name}"))
    except OSError:
        return False


def _modes(old: os.stat_result, new: os.stat_result) -> str:
    return f"mode {old.st_mode & 0o777:03o} -> {new.st_mode & 0o777:03o}"
