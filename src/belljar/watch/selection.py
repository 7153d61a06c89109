"""Which events are asked for: patterns of names, and rights. Told to the recorder, which leaves
the rest out at its source, and applied once more here to what only the arguments tell.
"""

from __future__ import annotations

from belljar.errors import UsageError
from belljar.events.catalogue import BY_NAME
from belljar.events.namespaces import is_applications
from belljar.events.targets import targets
from belljar.model import RIGHTS
from belljar.policy.glob import Globs
from belljar.policy.possible import names_needing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from belljar.model import Event

#: How alike a name must be to be taken for a slip of the pen.
_ALIKE = 0.7


class Selection:
    """Events whose name matches one of `patterns` (`*` is any text) and that need one of
    `rights`; either may be empty, which means all.

    Raises `UsageError` for a pattern that matches no event of the catalogue and cannot be an
    application's own (a word that CPython's events do not begin with, and a dot), and for an
    unknown right. The text names the nearest.

    >>> Selection(["socket.*"], ["connect"]).lines()[0]
    ('keep', 'socket.connect')
    """

    def __init__(self, patterns: Sequence[str] = (), rights: Sequence[str] = ()) -> None:
        for right in rights:
            check_right(right)
        for pattern in patterns:
            _check_pattern(pattern)
        self.patterns = tuple(dict.fromkeys(patterns))
        self.rights = frozenset(rights)
        self._globs = Globs(self.patterns)
        self._names: dict[str, bool] = {}
        self._of_rights = frozenset(
            name.partition("/native")[0] if name == "import/native" else name
            for name in names_needing(tuple(self.rights))
        )

    @property
    def everything(self) -> bool:
        """Is nothing left out?"""
        return self._globs.anything and not self.rights

    def lines(self) -> tuple[tuple[str, str], ...]:
        """What the recorder is told, to be put behind what rules need."""
        if self.everything:
            return ()
        if not self.rights:
            kept = self.patterns
        else:
            kept = tuple(name for name in sorted(self._of_rights) if self._globs.match(name))
        return (*(("keep", pattern) for pattern in kept), ("skip", "*"))

    def wants(self, name: str) -> bool:
        """May an event of this name be shown?"""
        known = self._names.get(name)
        if known is None:
            if len(self._names) >= 4096:
                self._names.clear()
            known = self._globs.match(name) and (not self.rights or name in self._of_rights)
            self._names[name] = known
        return known

    def shows(self, event: Event) -> bool:
        """Is this event to be shown?"""
        if not self.wants(event.name):
            return False
        return not self.rights or any(right in self.rights for right, _ in targets(event))


def check_right(right: str) -> None:
    """Raises `UsageError` for what is no right, with those that are near."""
    if right not in RIGHTS:
        near = _near(right, RIGHTS, 0.6) or f"; there are {', '.join(RIGHTS)}"
        raise UsageError(f"no right {right!r}{near}")


def _check_pattern(pattern: str) -> None:
    if not pattern or not pattern.isprintable() or len(pattern) > 100:
        raise UsageError(f"no pattern of event names: {pattern!r}")
    globs = Globs((pattern,))
    if pattern.startswith("!") or "?" in pattern:
        raise UsageError(f"in a pattern of event names only * is special: {pattern!r}")
    if any(globs.match(name) for name in BY_NAME):
        return
    if is_applications(pattern):
        return
    start, star, _ = pattern.partition("*")
    names = {name.partition(".")[0] + ".*" for name in BY_NAME} if star else set(BY_NAME)
    near = _near(start + star, sorted(names))
    raise UsageError(f"no event {pattern!r} in the catalogue{near or '; see belljar events'}")


def _near(word: str, words: Sequence[str], alike: float = _ALIKE) -> str:
    from difflib import get_close_matches

    found = get_close_matches(word, words, 3, alike)
    return f"; near: {', '.join(found)}" if found else ""
