"""Make one tree of a runtime image: what the host's tree holds, without the host's paths.

Files that tell nothing are hard links where they may be (nothing is copied, and what is written
into them is seen), copies elsewhere. Directories are walked by descriptors: a guest that may write
the environment cannot lead the walk out of it.
"""

from __future__ import annotations

import errno
import os

from belljar.confine.image.files import CHUNK, FILE, MOST, folder, holds, opened, read, write
from belljar.confine.image.relocate import COMMON, Needles, configuration, retitled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_LINK, _FOLDER = 0o120000, 0o040000
_SPECIAL = 0o6000
#: Static libraries, and what tells where a distribution was installed from.
_LEFT_OUT = (".a", ".o", ".egg-link", ".pth")
_COMPILED = "__pycache__"
#: In `lib-dynload`: the interpreter's tests of itself, each of which would be one more mount that
#: hides it, in nearly every sandbox.
ITS_TESTS = ("_test", "_ctypes_test.", "_xxtestfuzz.")
#: Without compiled files, and not asked for changes: a third of an environment, hardly imported.
_TESTS = frozenset(("test", "tests", "idle_test"))
_LONGEST = 1 << 20  # of the build's settings
_DEEPEST = 64
_MOST_FILES = 2_000_000


class Builder:
    """One tree in the making. `source` becomes `target`, which the guest will know as `guest`.

    `skip` are names left out at the top; `tag` ends the names of compiled files that this
    interpreter looks for, and with `settings` there are those of the build. `states` then are the
    directories, and the copied files, with their times: a tree is stale when one has another one.
    """

    def __init__(
        self,
        source: str,
        target: str,
        guest: str,
        needles: Needles,
        tag: str,
        skip: tuple[str, ...] = (),
        tell: Callable[[int], None] = lambda _count: None,
        settings: bool = False,
    ) -> None:
        self._source = source
        self._guest = guest
        self._needles = needles
        self._tag = tag
        self._tell = tell
        self._settings = settings
        self._device = -1
        self.states: list[tuple[int, str]] = []
        self.count = 0
        self._target = target
        self._skip = skip
        # packages of the system replace their files, which the directory's time tells
        self._managed = os.path.dirname(os.path.dirname(source)) in COMMON

    def make(self) -> None:
        """Raises `OSError` when the host's tree cannot be read or the new one not be written."""
        folder(self._target)
        self._device = os.stat(self._target).st_dev
        fd = os.open(self._source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._folder(fd, "", self._skip, 0)
        finally:
            os.close(fd)

    def single(self, file: str, target: str) -> None:
        """One more file, of no great size. Raises `OSError`."""
        above, name = os.path.split(file)
        fd = os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            data = read(fd, name)
            if data is None:
                raise OSError(5, "cannot be read", file)
            stat = os.stat(name, dir_fd=fd, follow_symlinks=False)
            made = self._changed(name, data)
            if made is not data or not self._linked(fd, name, target, stat):
                write(target, made, stat)
        finally:
            os.close(fd)

    def _folder(self, fd: int, relative: str, skip: tuple[str, ...], depth: int) -> None:
        if depth > _DEEPEST or self.count > _MOST_FILES:
            raise OSError(errno.E2BIG, "too many files, or too deep", self._source)
        state = os.fstat(fd).st_mtime_ns, relative  # before it is read
        here = os.path.join(self._target, relative)
        with os.scandir(fd) as entries:
            found = [(e.name, e.stat(follow_symlinks=False)) for e in entries]
        if not relative or (
            not _TESTS.intersection(relative.split("/"))
            and any(name.endswith((".py", ".so")) for name, _ in found)
        ):  # an installer changes the top as well; what is edited or added by hand is code
            self.states.append(state)
        library = os.path.basename(os.path.join(self._source, relative).rstrip("/"))
        for name, stat in sorted(found, key=lambda row: row[0]):
            if library == "lib-dynload" and name.startswith(ITS_TESTS):
                continue
            if name in skip or name.endswith(_LEFT_OUT) or name.startswith("__editable__"):
                continue
            path = os.path.join(relative, name)
            kind = stat.st_mode & 0o170000
            if kind == _FOLDER and name != _COMPILED:
                folder(os.path.join(here, name))
                inner = os.open(
                    name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd
                )
                try:
                    self._folder(inner, path, (), depth + 1)
                finally:
                    os.close(inner)
            elif kind == _LINK:
                self._link(fd, name, path)
            elif kind == FILE:
                self._file(fd, name, path, stat)

    def _link(self, fd: int, name: str, path: str) -> None:
        """Links stay where they lead to something beside them; others would tell where."""
        told = os.readlink(name, dir_fd=fd)
        if told.startswith("/"):
            top = self._source.rstrip("/") + "/"
            if not told.startswith(top):
                return
            told = os.path.relpath(told[len(top) :], os.path.dirname(path) or ".")
        if not os.path.normpath(os.path.join(os.path.dirname(path), told)).startswith(".."):
            os.symlink(told, os.path.join(self._target, path))

    def _file(self, fd: int, name: str, path: str, stat: os.stat_result) -> None:
        self.count += 1
        if not self.count % 256:
            self._tell(self.count)
        target = os.path.join(self._target, path)
        if stat.st_size > CHUNK and self._large(fd, name, path, stat):
            return
        data = read(fd, name)
        if data is None or (name == "direct_url.json" and b'"file:' in data):
            return
        made = self._changed(name, data)
        if made is not data or not self._linked(fd, name, target, stat):
            write(target, made, stat)
            if not self._managed or stat.st_uid:
                self.states.append((stat.st_mtime_ns, path))
        if name.endswith(".py") and not _TESTS.intersection(path.split("/")):
            self._compiled(fd, name, path, data, made)

    def _large(self, fd: int, name: str, path: str, stat: os.stat_result) -> bool:
        """Done, without reading it as a whole: what guests may write can be of any size."""
        with os.fdopen(opened(fd, name), "rb", buffering=0) as file:
            if holds(file, self._needles):
                if stat.st_size > MOST:
                    raise OSError(
                        errno.EFBIG, "holds paths, and is large", f"{self._source}/{path}"
                    )
                return False
            target = os.path.join(self._target, path)
            if not self._linked(fd, name, target, stat):
                file.seek(0)
                write(target, file, stat)
                if not self._managed or stat.st_uid:
                    self.states.append((stat.st_mtime_ns, path))
        return True

    def _changed(self, name: str, data: bytes) -> bytes:
        if self._settings and _is_settings(name) and len(data) < _LONGEST:
            base = os.fsencode(os.path.dirname(os.path.dirname(self._source)))
            made = self._needles.text(configuration(data, base))
            return data if made == data else made
        if not self._needles.found(data):
            return data
        binary = b"\0" in data[:8192]
        return self._needles.binary(data) if binary else self._needles.text(data)

    def _linked(self, fd: int, name: str, target: str, stat: os.stat_result) -> bool:
        # another's file may not be linked by everybody, and a set-id program should not last
        if stat.st_uid != os.geteuid() or stat.st_dev != self._device or stat.st_mode & _SPECIAL:
            return False
        try:
            os.link(name, target, src_dir_fd=fd, follow_symlinks=False)
        except OSError:
            return False
        if os.lstat(target).st_ino != stat.st_ino:  # replaced meanwhile
            os.unlink(target)
            return False
        return True

    def _compiled(self, fd: int, name: str, path: str, source: bytes, made: bytes) -> None:
        """Its compiled form beside it, with the neutral name in it."""
        stem = name[: -len(".py")]
        relative = f"{_COMPILED}/{stem}{self._tag}"
        title = f"{self._guest}/{path}"
        data = read(fd, relative)
        if data is None or len(data) < 17:
            return
        if made is not source:
            there = os.stat(os.path.join(self._target, path))
            data = _anew(data, made, title, there) if self._settings else b""
        else:
            for old in dict.fromkeys((f"{self._source}/{path}", *self._aliases(path))):
                data = retitled(data, os.fsencode(old), os.fsencode(title))
        if not data or self._needles.found(data):
            return  # compiled at each import: slower, and right
        beside = os.path.join(self._target, os.path.dirname(path), _COMPILED)
        if not os.path.isdir(beside):
            folder(beside)
        write(os.path.join(beside, stem + self._tag), data, None)

    def _aliases(self, path: str) -> list[str]:
        """Other names that the host may have for it, where a part of its path is a link."""
        parts = self._source.split("/")
        prefixes = [os.fsdecode(prefix) for prefix in self._needles.all]
        tails = ["/".join(parts[-n:]) for n in (2, 3) if len(parts) > n]
        return [f"{prefix}/{tail}/{path}" for prefix in prefixes for tail in tails]


def _is_settings(name: str) -> bool:
    return name.startswith("_sysconfigdata") or name in ("Makefile", "build-details.json")


def _anew(old: bytes, text: bytes, title: str, stat: os.stat_result) -> bytes:
    """A compiled file of changed settings of the build, where we are the interpreter for it."""
    import importlib.util
    import marshal

    name = title.rpartition("/")[2]
    if old[:4] != importlib.util.MAGIC_NUMBER or not _is_settings(name) or len(text) > _LONGEST:
        return b""
    try:
        code = compile(text, title, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return b""  # the guest's affair
    head = int(stat.st_mtime).to_bytes(4, "little") + stat.st_size.to_bytes(4, "little")
    return old[:4] + bytes(4) + head + marshal.dumps(code)
