"""Patterns of rules: `*` is any text, `?` any one character, everything else itself.

Several patterns mean any of them; one with `!` before it excludes what it matches.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def matches(pattern: str, text: str) -> bool:
    """Does the whole of `text` match? Time grows at most with the product of their lengths.

    >>> matches("*/.ssh/*", "/home/a/.ssh/id"), matches("os.?", "os.exec")
    (True, False)
    """
    at = tried = star = 0
    starred = False
    for_ever = len(text)
    while at < for_ever:
        if tried < len(pattern) and pattern[tried] == "*":
            starred, star, mark = True, tried, at
            tried += 1
        elif tried < len(pattern) and pattern[tried] in ("?", text[at]):
            tried += 1
            at += 1
        elif starred:
            mark += 1  # let the last star take one character more
            at, tried = mark, star + 1
        else:
            return False
    return all(c == "*" for c in pattern[tried:])


def compiled(pattern: str) -> Callable[[str], bool]:
    """A function that answers as `matches(pattern, ...)` does, at the speed of `str.find`.

    >>> compiled("*/.ssh/*")("/home/a/.ssh/id")
    True
    """
    if "?" in pattern:
        return lambda text: matches(pattern, text)
    first, *rest = pattern.split("*")
    if not rest:
        return lambda text: text == first
    *middle, last = rest

    def hit(text: str) -> bool:
        at, end = len(first), len(text) - len(last)
        if end < at or not text.startswith(first) or not text.endswith(last):
            return False
        for part in middle:
            at = text.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True

    return hit


def possible(pattern: str, begins: str = "", ends: str = "") -> bool:
    """Is there a text that matches, and begins with `begins`, or ends with `ends`?

    >>> possible("*/.ssh/id", "/home/"), possible("*/.ssh/id", ends="/x")
    (True, False)
    """
    return _reaches(pattern, begins) and _reaches(pattern[::-1], ends[::-1])


def _reaches(pattern: str, text: str) -> bool:
    states = {0}
    for character in text:
        following = set()
        for state in states:
            while pattern[state : state + 1] == "*":
                following.add(state)
                state += 1  # noqa: PLW2901
            if pattern[state : state + 1] in ("?", character):
                following.add(state + 1)
        if not following:
            return False
        states = following
    return True


class Globs:
    """One pattern or several, ready to be asked. `anything` is True where all texts match."""

    def __init__(self, patterns: str | Sequence[str]) -> None:
        several = (patterns,) if isinstance(patterns, str) else tuple(patterns)
        self.wanted = tuple(p for p in several if not p.startswith("!"))
        self.excluded = tuple(p[1:] for p in several if p.startswith("!"))
        self.anything = not self.excluded and (not self.wanted or "*" in self.wanted)
        self._yes = tuple(compiled(p) for p in self.wanted)
        self._no = tuple(compiled(p) for p in self.excluded)

    def match(self, text: str) -> bool:
        """Does one pattern match `text`, and none that excludes?

        >>> Globs(("*.pem", "!*/public/*")).match("/keys/public/a.pem")
        False
        """
        if any(no(text) for no in self._no):
            return False
        return not self._yes or any(yes(text) for yes in self._yes)

    def may_match(self, begins: str = "", ends: str = "") -> bool:
        """Could a text match that begins and ends like this? (What excludes is not asked.)"""
        return not self.wanted or any(possible(p, begins, ends) for p in self.wanted)

    def match_some(self, texts: Sequence[str]) -> bool:
        """Does a pattern match one of `texts`, and none that excludes any of them?"""
        if self.anything:
            return True
        if any(no(text) for text in texts for no in self._no):
            return False
        return not self._yes or any(yes(text) for text in texts for yes in self._yes)
