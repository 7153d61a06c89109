"""Whose event a name is: CPython's begin with a word and a dot, and so do those of applications,
of which nobody has a list.
"""

from __future__ import annotations

from belljar.events.catalogue import BY_NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

#: Shorter words are like one another without anybody having slipped.
_SHORTEST: Final = 3


def namespaces() -> frozenset[str]:
    """The first words, before the dot, of CPython's events.

    >>> "socket" in namespaces(), "shop" in namespaces()
    (True, False)
    """
    rows = BY_NAME.values()
    names = (row[0].partition(".")[0] for row in rows if "." in row[0] and row[4] != "application")
    return frozenset(names) - {"belljar"}


def is_applications(pattern: str) -> bool:
    """Can a pattern of event names be meant for an application's?

    >>> is_applications("app.*"), is_applications("os.sistem"), is_applications("opne")
    (True, False, False)
    """
    first, dot, _ = pattern.partition(".")
    return bool(dot) and first not in namespaces()


def alike(pattern: str) -> tuple[str, ...]:
    """Patterns of CPython's events that one slip of the pen away from `pattern`, which can match
    none of them.

    >>> alike("sockt.*"), alike("app.*")
    (('socket.*',), ())
    """
    first = pattern.partition(".")[0]
    if len(first) < _SHORTEST or "*" in first or pattern in BY_NAME or not is_applications(pattern):
        return ()
    return tuple(f"{name}.*" for name in sorted(namespaces()) if _one_slip(first, name))


def _one_slip(word: str, other: str) -> bool:
    """One letter more, less or other, or two that changed places?"""
    if len(word) > len(other):
        word, other = other, word
    if len(other) - len(word) > 1:
        return False
    at = next((i for i, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), len(word))
    if len(other) > len(word):
        return word[at:] == other[at + 1 :]
    rest, left = word[at:], other[at:]
    return rest[1:] == left[1:] or (rest[:2] == left[1::-1] and rest[2:] == left[2:])
