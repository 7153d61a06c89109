"""The words of a plan: what the guest's tree of files holds, and which rights go with it.

`View` collects mounts, Landlock rules and the window's table side by side, so that the three
cannot disagree: one call grants a path in all of them.
"""

from __future__ import annotations

import errno
import os

from belljar.confine.sensitive import Place, beneath
from belljar.errors import PolicyError
from belljar.model import Grant


class View:
    """The files of one sandbox. `isolated` is False where there are no namespaces.

    Without namespaces nothing is mounted and every guest path is a host path.
    """

    def __init__(self, isolated: bool) -> None:
        self.isolated = isolated
        self.words: list[str] = []
        self.mounts: list[tuple[str, list[str]]] = []  # by path: parents are attached first
        self.executable: set[str] = set()
        self.links: dict[str, str] = {}
        self.land: dict[str, str] = {}
        self.window: dict[str, str] = {}
        self.held: set[str] = set()  # directories that are mounts only so as not to be renamed

    def add(self, *words: str) -> None:
        self.words.extend(words)

    def mount(self, path: str, *words: str) -> None:
        """Something attached at `path`, above whatever lies there."""
        self.mounts.append((path, list(words)))

    def placed(self, path: str) -> str:
        """Where `path` lies in the guest, behind the links of the root (`/lib` to `/usr/lib`)."""
        for link, target in self.links.items():
            if self.isolated and beneath(path, link):
                return target + path[len(link) :]
        return path

    def plan(self) -> list[str]:
        """All words: what the root holds, then the mounts, each after those above it."""
        words = list(self.words)
        for _, more in sorted(self.mounts, key=lambda m: m[0].split("/")):
            words += more
        return words

    def directory(self, path: str) -> None:
        if self.isolated:
            self.add("dir", path)

    def file(self, path: str, text: str, rights: str = "r") -> None:
        """A small generated file."""
        if self.isolated:
            self.add("file", path, text)
            self.allow(path, rights)

    def link(self, path: str, target: str) -> None:
        if self.isolated:
            self.add("link", path, target)
            self.links[path] = os.path.join("/", target)

    def bind(
        self, source: str, path: str, flags: str, rights: str, checked: os.stat_result | None = None
    ) -> None:
        """Show `source` of the host at `path`; `checked` pins the object that was looked at."""
        device, inode = (checked.st_dev, checked.st_ino) if checked else (0, 0)
        if self.isolated:
            self.mount(path, "bind", source, path, flags or "-", str(device), str(inode))
            if "x" in flags:
                self.executable.add(path)
        if self.isolated and "w" not in flags and "r" in rights:
            rights += "t"  # see landlock.c: harmless on a read-only mount, and saves a walk
        self.allow(path if self.isolated else source, rights)

    def allow(self, path: str, rights: str) -> None:
        """Landlock letters (`r l w x p`) and the window's (`r l w`) for a path and beneath."""
        self.land[path] = _union(self.land.get(path, ""), rights)
        seen = "".join([letter for letter in rights if letter in "rlw"])
        self.window[path] = _union(self.window.get(path, ""), seen)

    def rules(self) -> list[str]:
        words: list[str] = []
        for path, rights in self.land.items():
            words += ("land", path, rights)
        return words

    def window_text(self) -> str:
        """The table the window reads: `rights<TAB>path`, one a line."""
        lines = [
            f"{rights or '-'}\t{path}\n" for path, rights in self.window.items() if "\n" not in path
        ]
        return "".join(lines)


def _union(a: str, b: str) -> str:
    if not a or not b or a == b:
        return a or b
    return a + "".join([letter for letter in b if letter not in a])


def _covers_runtime(view: View, grant: Grant, path: str, writable: bool) -> bool:
    """True when `path` is a mount of the runtime's own. What lies beneath a grant is attached
    above it; a grant that cannot be had together with the runtime is refused."""
    if not view.isolated:
        return False
    if (grant.source or grant.target) != grant.target:
        for below in view.executable:
            if beneath(below, path):
                raise PolicyError(grant.origin, f"{path}: the runtime's own {below} lies there")
    if path not in view.executable:
        return False
    if writable:
        raise PolicyError(grant.origin, f"write = {path}: is executable in the guest; grant less")
    return True


_LETTERS = {"read": "rl", "write": "w", "list": "l"}


def add_grants(view: View, grants: tuple[Grant, ...]) -> list[Grant]:
    """Put every file grant into the view; returns those that exist.

    A grant keeps the rights that a grant above it has: reading a directory inside a writable
    one does not make it read-only. Raises `PolicyError` naming the grant's place.
    """
    files = [g for g in grants if g.right in _LETTERS]
    rights: dict[str, str] = {}
    sources: dict[str, tuple[str, Grant]] = {}
    found: list[Grant] = []
    for grant in sorted(files, key=lambda g: g.target):
        _check_place(grant)
        path = grant.target
        if path in sources and sources[path][0] != (grant.source or path):
            raise PolicyError(grant.origin, f"{path} is granted twice, from different places")
        sources[path] = (grant.source or path, grant)
        rights[path] = _union(rights.get(path, ""), _LETTERS[grant.right])
    for path in sorted(sources):
        source, grant = sources[path]
        real = os.path.realpath(source)
        checked = look(grant, source, real)
        if checked is None:
            continue
        if not view.isolated and real != path:
            raise PolicyError(
                grant.origin,
                f"{grant.right} = {source}: without mount namespaces a path cannot be renamed, "
                f"and this one is a link or mapped; grant {real} itself",
            )
        letters = rights[path]
        for above, more in rights.items():
            if path.startswith(above.rstrip("/") + "/"):
                letters = _union(letters, more)
        writable = "w" in letters
        if _covers_runtime(view, grant, view.placed(path), writable):
            view.allow(path, letters)  # it is shown already, and has to stay executable
            found += [g for g in files if g.target == path]
            continue
        placed = view.placed(path)
        view.bind(real, placed, "wi" if writable else "o", letters, checked)
        view.window[path] = view.window.get(path if not view.isolated else placed, letters)
        found += [g for g in files if g.target == path]
    return found


def look(grant: Grant, source: str, real: str) -> os.stat_result | None:
    """The object that is granted; None when it is missing and may be."""
    try:
        checked = os.stat(real)
    except OSError as error:
        if grant.optional and isinstance(error, FileNotFoundError):
            return None
        hint = ""
        if error.errno == errno.ENOENT and grant.right == "write":
            hint = "; what does not exist yet is granted by its directory"
        elif error.errno == errno.ENOENT:
            hint = "; prefix it with - if it may be missing"
        place = f"{grant.right} = {source}"
        raise PolicyError(grant.origin, f"{place}: {error.strerror}{hint}") from error
    for point, kind in special_mounts():
        if beneath(point, real):
            raise PolicyError(
                grant.origin, f"{grant.right} = {source}: {kind} is mounted at {point}; grant less"
            )
    if (checked.st_mode & 0o170000) not in (0o040000, 0o100000):
        raise PolicyError(grant.origin, f"{grant.right} = {source}: neither a file nor a directory")
    return checked


#: File systems that are windows into the kernel: a grant above one would open it.
_SPECIAL = frozenset(
    ("proc", "sysfs", "cgroup", "cgroup2", "debugfs", "tracefs", "securityfs", "configfs", "bpf",
     "devtmpfs", "devpts", "mqueue", "binfmt_misc", "efivarfs", "fusectl", "pstore", "hugetlbfs")
)  # fmt: skip
_mounts: list[tuple[str, str]] = []


def special_mounts() -> list[tuple[str, str]]:
    """(mount point, type) of the host's special file systems, read once (proc_pid_mountinfo(5))."""
    if not _mounts:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                before, _, after = line.partition(" - ")
                kind = after.split(" ", 1)[0]
                if kind in _SPECIAL:
                    point = before.split(" ")[4].encode("utf-8", "surrogateescape")
                    _mounts.append(
                        (os.fsdecode(point.decode("unicode_escape").encode("latin-1")), kind)
                    )
    return _mounts


def shield(view: View, place: Place) -> None:
    """Show what exists at `place`, inside a writable grant, read-only there."""
    if not view.isolated or os.path.realpath(place.host) != place.host:
        return  # a link is what it points to; that it is replaced is told at the end
    try:
        stat = os.stat(place.host)
    except OSError:
        return
    # a mount point cannot be renamed: else its parent would be moved away and made anew
    for guest, host in place.above:
        if guest not in view.held:
            view.held.add(guest)
            view.mount(guest, "bind", host, guest, "wi", *_identity(os.stat(host)))
    if place.guest not in view.executable:
        view.mount(place.guest, "bind", place.host, place.guest, "o", *_identity(stat))
    above = max((p for p in view.window if beneath(place.guest, p)), key=len)
    view.window[place.guest] = view.window[above].replace("w", "").replace(".", "") or "-"


def _identity(stat: os.stat_result) -> tuple[str, str]:
    return str(stat.st_dev), str(stat.st_ino)


def _check_place(grant: Grant) -> None:
    for ours in ("/belljar", "/box", "/dev", "/proc", "/sys"):
        if grant.target == ours or grant.target.startswith(ours + "/"):
            raise PolicyError(
                grant.origin,
                f"{grant.right} = {grant.target}: {ours} in the guest is Belljar's own",
            )
