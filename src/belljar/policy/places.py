"""From paths that a program needed to the grants that a later run needs.

The difference is time: when that run begins, what this one made is not there, and what does not
exist cannot be granted by itself. Nor may a file be granted by itself that is renamed or deleted:
inside, it would be a mount point. In both cases the grant is the directory's.
"""

from __future__ import annotations

from belljar.events.paths import covers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.model import Event
    from belljar.policy.facts import Facts

#: What these change is the directory.
OF_THE_DIRECTORY: Final = frozenset(
    ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink")
)
_MOVES: Final = frozenset(("os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink"))
_ANNOUNCES: Final = ("tempfile.mkstemp", "tempfile.mkdtemp")
_CREAT: Final = 0o100
_MOST: Final = 100_000  # paths that are followed; a program may name any number
WAS_NOT_THERE: Final = "was not there, so nothing is lost without it"
TEMPORARY: Final = "lies in the temporary directory, which is private inside"
MADE_ALREADY: Final = "was there already"


class Places:
    """Follows which paths a program makes, moves and removes, and says what to grant."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._made: set[str] = set()  # opened so that they may have been created
        self._folders: set[str] = set()  # mkdir was asked for
        self._moved: set[str] = set()  # renamed, linked, removed: not to be mount points
        self._announced: set[str] = set()  # temporary names that Python's own library made up
        self.left_behind: set[str] = set()  # new in the temporary directory, and still there

    def follow(self, event: Event, targets: tuple[tuple[str, str | None], ...]) -> None:
        """Take note of one event; `targets` are its rights and paths."""
        if event.name in _ANNOUNCES and event.target:
            _enter(self._announced, event.target)
        for right, target in targets:
            if target is None or right not in ("write", "append"):
                continue
            if event.name in _MOVES:
                _enter(self._moved, target)
            elif event.name == "os.mkdir":
                _enter(self._folders, target)
            elif may_create(event):
                _enter(self._made, target)

    def grants(
        self, right: str, target: str, names: set[str]
    ) -> tuple[tuple[tuple[str, str], ...], str]:
        """`(key, path)` of the grants that `right` on `target` needs, asked for by the events
        `names`; or nothing and the reason why it needs none."""
        if self._temporary(target):
            return (), TEMPORARY
        parent = target.rpartition("/")[0] or "/"
        there = bool(self._facts.kind(target)) and not self._is_new(target)
        if "sqlite3.connect" in names:
            return self._database(target, parent, there)
        if right not in ("write", "append"):
            if there:
                return (("read", target),), ""
            if self._made_here(target) or self._facts.kind(target):
                return (("read", self._old(parent)),), ""
            return (), WAS_NOT_THERE
        if names & OF_THE_DIRECTORY:
            if names == {"os.mkdir"} and there:
                return (), MADE_ALREADY
            if not self._facts.kind(parent) and not self._made_here(parent):
                return (), WAS_NOT_THERE
            return (("write", self._old(parent)),), ""
        if there:
            return (("write", target),), ""
        if self._made_here(target) or self._facts.kind(target):
            return (("write", self._old(parent)),), ""
        return (), WAS_NOT_THERE

    def _database(
        self, target: str, parent: str, there: bool
    ) -> tuple[tuple[tuple[str, str], ...], str]:
        """SQLite does not say whether it will write. Where it did, a journal lay beside."""
        if there and self._facts.changed(target) is False:
            return (("read", target),), ""
        if not there and not self._facts.kind(parent) and not self._made_here(parent):
            return (), WAS_NOT_THERE
        folder = self._old(parent)
        return (("read", folder), ("write", folder)), ""

    def _is_new(self, path: str) -> bool:
        if path in self._moved:
            return True
        known = self._facts.new(path)
        return path in self._made or path in self._folders if known is None else known

    def _made_here(self, path: str) -> bool:
        while path and path != "/":
            if path in self._made or path in self._folders or path in self._moved:
                return True
            path = path.rpartition("/")[0]
        return False

    def _old(self, path: str) -> str:
        """The nearest directory that was there before."""
        while path != "/" and (self._facts.kind(path) != "directory" or self._is_new(path)):
            path = path.rpartition("/")[0] or "/"
        return path

    def _temporary(self, target: str) -> bool:
        for root in self._facts.private:
            if target == root:
                return True
            if not covers(root, target):
                continue
            first = f"{root}/{target[len(root) + 1 :].partition('/')[0]}"
            if first in self._announced or not self._facts.kind(first):
                return True
            if self._is_new(first):
                _enter(self.left_behind, first)
                return True
        return False


def _enter(paths: set[str], path: str) -> None:
    if len(paths) < _MOST:
        paths.add(path)


def may_create(event: Event) -> bool:
    """May this opening have made the file?"""
    if event.name != "open":
        return event.name == "sqlite3.connect"
    mode = event.args[1] if len(event.args) > 1 else None
    flags = event.args[2] if len(event.args) > 2 else None
    if type(flags) is int and flags:
        return bool(flags & _CREAT)
    if type(mode) is str:
        return any(letter in mode for letter in "wxa")
    return not event.args  # a denial's row does not keep them
