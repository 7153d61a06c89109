"""Make a tree of a runtime image, and remove those that nobody uses any more."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress

from belljar.confine.image import HOME, MOST_SITES, Tree, current, hold
from belljar.confine.image.build import Builder
from belljar.confine.image.files import folder
from belljar.confine.image.relocate import COMMON, Needles, configured

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_OLD = 30 * 86400  # seconds; a tree that no run has asked for since
_FRESH = 3600
_TICK = 0.02
#: Parts of the standard library that nobody edits in place, too many to be asked at every start.
_SELDOM = ("test", "tests", "idlelib", "turtledemo", "lib2to3", "config-")


def make(tree: Tree, tell: Callable[[str], None] | None) -> tuple[str, int]:
    """Make `tree` and put it in place, unless somebody else does so meanwhile; as `current`.

    Raises `OSError`.
    """
    os.makedirs(tree.folder, mode=0o700, exist_ok=True)
    lock = os.open(f"{tree.text}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        progress = _Progress("another run makes the runtime image; waiting for it", tell)
        while not _locked(lock):
            progress(0)
            time.sleep(_TICK)
        found, held = current(tree)
        return (found, held) if found else _make(tree, tell)
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make(tree: Tree, tell: Callable[[str], None] | None) -> tuple[str, int]:
    name = f"tree-{os.urandom(8).hex()}"
    path = f"{tree.folder}/{name}"
    folder(path)
    _, held = hold(path)
    try:
        progress = _Progress(f"making the runtime image of {tree.source}, once", tell)
        states = _fill(tree, f"{path}/tree", progress)
        text = "".join(f"{time} {name}\n" for time, name in states if "\n" not in name)
        temporary = f"{tree.text}.{os.getpid()}.{os.urandom(4).hex()}"
        with open(temporary, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(f"{tree.first}\n{name}\n{text}")
        os.replace(temporary, tree.text)
    except BaseException:
        os.close(held)
        _remove(path)
        raise
    prune(tree.folder)
    return path, held


def _fill(tree: Tree, target: str, progress: _Progress) -> list[tuple[int, str]]:
    runtime = tree.runtime
    base = os.path.dirname(os.path.dirname(runtime.stdlib))
    tag = ".cpython-{}{}.pyc".format(*runtime.version.split(".")[:2])
    needles = Needles(_prefixes(tree, base), _homes())
    if tree.site:
        builder = Builder(tree.source, target, tree.guest, needles, tag, (), progress)
        builder.make()
        return builder.states
    library = os.path.relpath(runtime.stdlib, base)
    outside = runtime.dynload and os.path.dirname(runtime.dynload) != runtime.stdlib
    skip = ("site-packages", "dist-packages", *(("lib-dynload",) if outside else ()))
    guest = f"{HOME}/{library}"
    inner = f"{target}/{library}"
    builder = Builder(runtime.stdlib, inner, guest, needles, tag, skip, progress, settings=True)
    builder.make()
    states = [row for row in builder.states if not _seldom(row[1])]
    folder(f"{target}/{library}/site-packages")
    if outside:
        place = f"{inner}/lib-dynload"
        more = Builder(runtime.dynload, place, f"{guest}/lib-dynload", needles, tag)
        more.make()
        states += [(time, f"{runtime.dynload}/{name}") for time, name in more.states]
    for number in range(1, MOST_SITES):  # other environments on this interpreter may have more
        for name in ("site-packages", "dist-packages"):
            folder(f"{target}/{number}/{name}")
    for place, files in (("bin", (runtime.program,)), ("lib", runtime.libraries)):
        if not os.path.isdir(f"{target}/{place}"):
            folder(f"{target}/{place}")
        for file in files:
            builder.single(file, f"{target}/{place}/{os.path.basename(file)}")
            states.append((os.stat(file).st_mtime_ns, os.path.relpath(file, runtime.stdlib)))
    return states


def _prefixes(tree: Tree, base: str) -> list[str]:
    """The directories that the runtime may call its own: where it lies, where it was built for,
    the environment, and the names by which that was asked for."""
    found = [base, *configured(tree.runtime.stdlib)]
    for site in tree.runtime.site:
        found.append(os.path.dirname(os.path.dirname(os.path.dirname(site))))
    named = os.environ.get("VIRTUAL_ENV", "")
    if named.startswith("/") and os.path.realpath(named) in found:
        found.append(named)
    return [path for path in found if path not in COMMON]


def _homes() -> list[str]:
    home = os.path.abspath(os.path.expanduser("~"))
    return [home, os.path.realpath(home)]


def _seldom(name: str) -> bool:
    return any(part.startswith(_SELDOM) for part in name.split("/")[:-1]) or name in _SELDOM


class _Progress:
    """Tells after a second that there is something to wait for, and then every second."""

    def __init__(self, what: str, tell: Callable[[str], None] | None) -> None:
        self._what = what
        self._tell = tell
        self._next = time.monotonic() + 1

    def __call__(self, count: int) -> None:
        if self._tell is not None and time.monotonic() > self._next:
            self._next = time.monotonic() + 1
            self._tell(f"{self._what}: {count} files" if count else self._what)


def prune(place: str) -> None:
    """Remove trees that no text names, and texts that no run has read for a month."""
    now = time.time()
    named = set()
    for entry in os.listdir(place):
        path = f"{place}/{entry}"
        if entry.startswith("tree-") or entry.endswith(".lock") or entry == "failed":
            continue
        with suppress(FileNotFoundError):
            if os.stat(path).st_atime < now - _OLD:
                os.unlink(path)
                continue
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                named.add(file.read().split("\n", 2)[1:2][0])
    for entry in os.listdir(place):
        path = f"{place}/{entry}"
        if not entry.startswith("tree-") or entry in named:
            continue
        with suppress(OSError):  # another one removes it, or somebody uses it
            if os.stat(path).st_mtime > now - _FRESH:
                continue
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(path)
            finally:
                os.close(fd)


def _remove(path: str) -> None:
    import shutil

    shutil.rmtree(path, ignore_errors=True)
