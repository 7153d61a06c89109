"""What each package did: effects of events, gathered by the distribution that caused them.

Memory is bounded whatever the program does: what is too much is counted by directory, and at last
only counted.
"""

from __future__ import annotations

from collections import Counter

from belljar.report.fold import MORE
from belljar.watch.attribute import INTERPRETER, PROGRAM, STANDARD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    from belljar.report.effects import Effect

#: Kinds of rows in the order in which a person wants to know of them, with their weight.
KINDS: Final = (
    ("refused", "refused", 128),
    ("network", "network", 64), ("process", "started", 32), ("native", "native", 16),
    ("deleted", "removed", 8), ("write", "wrote", 4), ("code", "code", 2), ("read", "read", 1),
    ("list", "listed", 0), ("env", "set", 0), ("own", "raised", 1), ("untold", "untold", 1),
)  # fmt: skip
#: Events whose program the caller beneath names again.
_AGAIN: Final = frozenset(("os.posix_spawn", "os.exec", "_posixsubprocess.fork_exec"))
_PATHS: Final = frozenset(("read", "list", "write", "deleted"))
_MOST_PACKAGES: Final = 500
_MOST_ROWS: Final = 5_000
_MOST_FILES: Final = 100_000
_MOST_THREADS: Final = 1 << 16
_FEW: Final = 50
_REST: Final = "more packages"


class Package:
    """What one distribution did. `rows` are counted by kind; `loaded` are files of code and
    directories of libraries that were read to import, `made` texts that the standard library
    compiled for it, `temporary` files that it wrote and that are gone again.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self.events = self.loaded = self.made = self.temporary = self.imports = 0
        self.rows: dict[str, Counter[Any]] = {}
        self.imported: Counter[str] = Counter()

    def count(self, kind: str, key: Any) -> None:
        """One more of `key`."""
        row = self.rows.get(kind)
        if row is None:
            row = self.rows[kind] = Counter()
        if len(row) >= _MOST_ROWS and key not in row:
            if kind in _PATHS:
                key = key.rstrip("/").rpartition("/")[0] + MORE
            if len(row) >= 2 * _MOST_ROWS and key not in row:
                key = ("more", 0, "") if kind == "code" else MORE if kind in _PATHS else "more"
        row[key] += 1

    def forget(self, kind: str, key: Any) -> None:
        """As if `key` had not been counted."""
        row = self.rows.get(kind)
        if row is not None:
            row.pop(key, None)
            if not row:
                del self.rows[kind]

    @property
    def weight(self) -> int:
        """How much a person wants to know of it."""
        return sum(weight for kind, _, weight in KINDS if self.rows.get(kind))


class Packages:
    """All packages of a record. `apply` takes the effects of events, in order. `script` is the
    path of the watched program, if it is a file."""

    def __init__(self, script: str = "") -> None:
        self.all: dict[str, Package] = {}
        self.shadows: dict[str, str] = {}  # file: the module that it stands in front of
        self._begun: set[int] = set()
        self._importing: dict[tuple[int, int], str] = {}
        self._started: dict[tuple[int, int], tuple[Any, ...]] = {}
        self._wrote: dict[str, list[Package]] = {}
        self._scripts = {script}
        self._do: dict[str, Callable[..., None]] = {
            "write": self._write, "delete": self._delete, "rename": self._rename,
        }  # fmt: skip

    def begins(self, pid: int, *, runs: bool) -> None:
        """A process began. As long as its program does not run, what no package did is the
        interpreter's doing.
        """
        if len(self._begun) >= _MOST_THREADS:
            self._begun.clear()
        (self._begun.add if runs else self._begun.discard)(pid)

    def apply(self, pid: int, thread: int, label: str, effect: Effect) -> None:
        """An event of the package `label` (as `Attribution.of` gives it) had this effect."""
        if not effect:
            return
        kind = effect[0]
        if kind == "begin":
            self._begun.add(pid)
            if effect[1] and len(self._scripts) < _MOST_ROWS:
                self._scripts.add(effect[1])
            return
        begun = pid in self._begun
        package = self._package(label if label != PROGRAM or begun else INTERPRETER)
        package.events += 1
        if kind == "count" and effect[1] in ("read", "list") and self._starts(label, begun, effect):
            package.loaded += 1
        elif kind == "count":
            package.count(effect[1], effect[2])
        elif kind == "loaded":
            package.loaded += 1
        elif kind == "made":
            package.made += 1
        elif kind == "import":
            self._import(package, (pid, thread), *effect[1:])
        elif kind == "exec":
            importing = self._importing.pop((pid, thread), "")
            if effect[1] and importing == effect[1] and len(self.shadows) < _MOST_ROWS:
                self.shadows[effect[2]] = effect[1]
        elif kind == "run":
            self._run(package, (pid, thread), *effect[1:])
        else:
            self._do[kind](package, *effect[1:])

    def _starts(self, label: str, begun: bool, effect: Effect) -> bool:
        """Is this the interpreter finding its libraries, and its script?"""
        if label not in (INTERPRETER, STANDARD):
            return False
        return not begun or effect[2] in self._scripts

    def _package(self, label: str) -> Package:
        package = self.all.get(label)
        if package is None:
            if len(self.all) >= _MOST_PACKAGES:
                label = _REST
            package = self.all.setdefault(label, Package(label))
        return package

    def _import(
        self, package: Package, who: tuple[int, int], name: str, foreign: bool, native: str
    ) -> None:
        if len(self._importing) >= _MOST_THREADS:
            self._importing.clear()
        self._importing[who] = name
        package.imports += 1
        if native:
            package.count("native", f"C module {native}")
        top = name.partition(".")[0]
        if foreign and (top in package.imported or len(package.imported) < _MOST_ROWS):
            package.imported[top] += 1

    def _run(
        self,
        package: Package,
        who: tuple[int, int],
        name: str,
        command: str,
        where: tuple[Any, ...],
    ) -> None:
        """One start, which `subprocess` tells twice: by its event and by that of what it uses."""
        again = self._started.pop(who, None) == (command, where) or (
            bool(where) and where[0].file.endswith("/subprocess.py")
        )
        if name in _AGAIN and again:
            return
        if name == "subprocess.Popen":
            if len(self._started) >= _MOST_THREADS:
                self._started.clear()
            self._started[who] = (command, where)
        package.count("process", command)

    def _write(self, package: Package, path: str) -> None:
        package.count("write", path)
        path = path.rstrip("/")
        if path in self._wrote or len(self._wrote) < _MOST_FILES:
            writers = self._wrote.setdefault(path, [])
            if package not in writers:
                writers.append(package)

    def _delete(self, package: Package, path: str) -> None:
        writers = self._unwrite(path)
        if writers:
            writers[0].temporary += 1
        else:
            package.count("deleted", path)

    def _rename(self, package: Package, source: str, path: str) -> None:
        if not self._unwrite(source):
            package.count("deleted", source)
        self._write(package, path)

    def _unwrite(self, path: str) -> list[Package]:
        """What was written there is gone; those who wrote it."""
        writers = self._wrote.pop(path, [])
        for writer in writers:
            writer.forget("write", path)
            writer.forget("write", path + "/")
        if writers and len(self.all) <= _FEW:
            for package in self.all.values():
                package.forget("read", path)  # of a file of their own making
        return writers
