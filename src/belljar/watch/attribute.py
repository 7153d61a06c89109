"""Which installed distribution caused an event, from the file names of its frames.

A file name is what the program says of its own code: it may lie, as everything from it may. What
is on disk is read when it is first needed, once, and never imported.
"""

from __future__ import annotations

import os

from belljar.events.paths import absolute
from belljar.watch.budget import Budget
from belljar.watch.sites import Site, label, names_in, normal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.model import Event

PROGRAM: Final = ""
STANDARD: Final = "standard library"
INTERPRETER: Final = "interpreter"

_SITES: Final = ("/site-packages/", "/dist-packages/")
_ARCHIVES: Final = (".whl", ".zip", ".egg", ".pyz", ".pyzw")
#: Listing these tells nothing and may wait, or mount something.
_NEVER: Final = ("/proc/", "/sys/", "/dev/", "/net/")
_MOST_FILES: Final = 1 << 16
_MOST_SITES: Final = 256
_MOST_BARE: Final = 4096
_LEVELS: Final = 8
_MOST_VERSIONS: Final = 16
_LONGEST: Final = 4096


class Attribution:
    """Answers for many events; keeps what it learned, within bounds.

    `script` is the path of the watched program, if it is a file: its events are its own even
    where it belongs to a distribution. `mapped` are directories as who ran knew them, and as we
    do, the deepest first.

    >>> from belljar.model import Event, Frame
    >>> frame = Frame("/usr/lib/python3.11/json/__init__.py", 1, "load")
    >>> Attribution().of(Event(1, 0, 7, 7, "open", (), stack=(frame,)))
    'standard library'
    """

    def __init__(self, script: str | None = None, mapped: tuple[tuple[str, str], ...] = ()) -> None:
        self._mapped = mapped
        self._script = os.path.abspath(script) if script else None
        self._known: dict[str, str] = {}
        self._sites: dict[str, Site] = {}
        self._editable: dict[str, list[tuple[str, str, frozenset[str]]]] = {}
        self._libraries: dict[str, bool] = {}
        self._bare: set[str] = set()
        self._budget = Budget()

    def of(self, event: Event) -> str:
        """`name version` of the distribution of the nearest frame outside the standard library;
        `PROGRAM`, `STANDARD` (nothing lies beyond it) or `INTERPRETER` (there is no frame).

        The recorder has looked for that frame already, and knew what was imported for whom: the
        whole stack, where it was asked for, changes nothing.
        """
        if event.stack:
            return self.of_file(event.stack[0].file)
        for frame in event.frames:
            found = self.of_file(frame.file)
            if found != STANDARD:
                return found
        return STANDARD if event.frames else INTERPRETER

    def of_file(self, path: str) -> str:
        """The same for one source file."""
        found = self._known.get(path)
        if found is None:
            if len(self._known) >= _MOST_FILES:
                self._known.clear()
            self._budget.begin()
            found = self._known[path] = self._find(self._here(path))
            self._budget.end()
        return found

    def _here(self, path: str) -> str:
        for there, here in self._mapped:
            if path == there or path.startswith(f"{there}/"):
                return here + path[len(there) :]
        return path

    def learn(self, executable: str | None, version: str) -> None:
        """An interpreter that was seen: where its distributions lie."""
        if not executable or not executable.startswith("/") or "\0" in executable:
            return
        short = ".".join(version.split(".")[:2])
        prefix = os.path.dirname(os.path.dirname(executable))
        if short.replace(".", "").isdigit():
            site = f"{absolute(prefix, '/')}/lib/python{short}/site-packages"
            if site not in self._sites and os.path.isdir(site):
                self._site(site)

    def _find(self, path: str) -> str:
        if path.startswith("<"):
            return STANDARD if path.startswith("<frozen ") else PROGRAM
        if not path.startswith("/") or len(path) > _LONGEST or "\0" in path:
            return PROGRAM
        path = absolute(path, "/")
        if path == self._script:
            return PROGRAM
        for name in _SITES:
            before, found, rest = path.rpartition(name)
            if found:
                site = self._site(before + name[:-1])
                top = rest.partition("/")[0].partition(".")[0]
                return (site.owner(rest) if site else "") or label(top) or PROGRAM
        archived = self._archived(path)
        if not archived and self._is_standard(path):
            return STANDARD
        if archived or self._budget.late():
            return archived or PROGRAM
        return self._script_of(path) or self._in_place(path)

    def _is_standard(self, path: str) -> bool:
        """Is it beneath `lib/pythonX.Y`, with `os.py` there, or in `pythonXY.zip`?"""
        for mark in ("/lib/python", "/lib64/python", "/lib/pypy"):
            before, found, rest = path.rpartition(mark)
            version, slash, _ = rest.partition("/")
            if not found or version[:1] not in ("2", "3"):
                continue
            if version.endswith(".zip") and slash:
                return True
            directory = before + mark + version
            if directory not in self._libraries:
                if len(self._libraries) >= _MOST_SITES:
                    self._libraries.clear()
                self._libraries[directory] = os.path.isfile(f"{directory}/os.py")
            if slash and self._libraries[directory]:
                return True
        return False

    def _archived(self, path: str) -> str:
        """The owner within an archive on the way to `path`; wheels and eggs tell it by name."""
        for suffix in _ARCHIVES:
            before, found, rest = path.partition(suffix + "/")
            if not found or not os.path.isfile(before + suffix):
                continue
            if suffix in (".whl", ".egg"):
                return label(os.path.basename(before))
            site = self._site(before + suffix)
            return site.owner(rest) if site and site.distributions else ""
        return ""

    def _script_of(self, path: str) -> str:
        """A command that a distribution of its environment installed: its RECORD has it."""
        directory, _, name = path.rpartition("/")
        prefix, _, last = directory.rpartition("/")
        if last != "bin" or f"{prefix}/".startswith(_NEVER):
            return ""
        for library in ("lib", "lib64"):
            found = names_in(f"{prefix}/{library}", self._budget)
            for version in [v for v in found if v.startswith("python3")][:_MOST_VERSIONS]:
                place = f"{prefix}/{library}/{version}/site-packages"
                site = self._site(place, bare=False)
                owner = site.owner_of_listed(f"../../../bin/{name}") if site else ""
                if owner:
                    return owner
        return ""

    def _in_place(self, path: str) -> str:
        """Editable installs, and directories that `pip install --target` filled."""
        for place in list(self._sites):
            for root, owner, tops in self._editables(place):
                if not path.startswith(root + "/"):
                    continue
                rest = path[len(root) + 1 :]
                for source in ("src/", "lib/", "python/"):
                    rest = rest.removeprefix(source)
                first, slash, _ = rest.partition("/")
                if (first if slash else first.removesuffix(".py")) in tops:
                    return owner
        directory = path
        for _ in range(_LEVELS):
            directory = directory.rpartition("/")[0]
            if not directory:
                break
            site = None if directory in self._bare else self._site(directory, bare=False)
            owner = site.owner(path[len(directory) + 1 :]) if site else ""
            if owner:
                return owner
        return PROGRAM

    def _editables(self, place: str) -> list[tuple[str, str, frozenset[str]]]:
        found = self._editable.get(place)
        if found is None:
            found = []
            for one in self._sites[place].distributions:
                root = one.editable()
                if root:
                    names = one.tops() | {one.key, one.key.replace("-", "_")}
                    found.append((absolute(root, "/"), one.tell(), frozenset(names)))
            self._editable[place] = found
        return found

    def _site(self, directory: str, *, bare: bool = True) -> Site | None:
        """The distributions in `directory`; one that has none is a site only where `bare`."""
        site = self._sites.get(directory)
        if site is None:
            if len(self._sites) >= _MOST_SITES or f"{directory}/".startswith(_NEVER):
                return None
            site = Site(directory, self._budget)
            if not bare and not site.distributions:
                if len(self._bare) >= _MOST_BARE:
                    self._bare.clear()
                self._bare.add(directory)
                return None
            self._sites[directory] = site
        return site


def same_distribution(one: str, other: str) -> bool:
    """Do two labels mean the same distribution, whatever its version?

    >>> same_distribution("PyYAML 6.0", "pyyaml")
    True
    """
    return normal(one.partition(" ")[0]) == normal(other.partition(" ")[0])
