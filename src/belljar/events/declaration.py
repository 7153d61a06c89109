"""The file in which a distribution declares the events that it raises: strictly read.

The text comes from a package that nobody trusts: every type, size and name is checked, and a file
with one mistake declares nothing.
"""

from __future__ import annotations

from belljar.events.catalogue import BY_NAME
from belljar.events.kinds import WORDS
from belljar.model import RIGHTS, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from belljar.events.catalogue import Row

MOST_EVENTS: Final = 200
MOST_ARGUMENTS: Final = 32
_LONGEST_NAME: Final = 120
_LONGEST_NOTE: Final = 200
_LONGEST_TEXT: Final = 16 << 10
_LONGEST_LINE: Final = 1000
_MOST_DOTS: Final = 8
_STRING: Final = r'"(?:[^"\\]|\\.)*"|\'[^\']*\'|#.*'
_KEYS: Final = ("arguments", "right", "target", "note")
#: What an argument must be to be the target of a right; a text for all others.
_TARGETS: Final = {"connect": ("tuple",), "bind": ("tuple",), "signal": ("int",)}
_TEXTS: Final = ("str", "bytes")
#: First words that are CPython's or ours, beside those of the catalogue.
_TAKEN: Final = frozenset(("belljar", "cpython", "builtins", "python", "posix", "nt"))


class Declaration(Value):
    """One declared event: arguments as (name, types), and whose it is (`name version`)."""

    name: str
    arguments: tuple[tuple[str, str], ...]
    right: str
    target: str
    note: str
    distribution: str

    def row(self) -> Row:
        """As a row of the catalogue."""
        names = [name for name, _ in self.arguments]
        index = names.index(self.target) if self.target else -1
        note = f"declared by {self.distribution}" + (f": {self.note}" if self.note else "")
        return (self.name, " ".join(names), self.right, index, "application", "", note)


def read(text: str, distribution: str) -> tuple[Declaration, ...]:
    """The declarations in a TOML text. Raises `ValueError`, whose text says what is wrong.

    >>> read('schema = 1\\n[event."shop.refund"]\\narguments = ["cents: int"]', "shop 1")[0].name
    'shop.refund'
    """
    import tomllib

    _check_text(text)
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    unknown = set(data) - {"schema", "event"}
    if unknown:
        raise ValueError(f"unknown key {min(unknown)!r}")
    if type(data.get("schema")) is not int or data["schema"] != 1:
        raise ValueError("schema must be 1")
    events = data.get("event", {})
    if type(events) is not dict or not all(type(e) is dict for e in events.values()):
        raise ValueError('events are tables [event."NAME"]')
    if len(events) > MOST_EVENTS:
        raise ValueError(f"more than {MOST_EVENTS} events")
    return tuple(_event(name, table, distribution) for name, table in events.items())


def _check_text(text: str) -> None:
    """Refuse what `tomllib` takes long for: the square of the number of a key's parts."""
    import re

    if len(text) > _LONGEST_TEXT:
        raise ValueError(f"longer than {_LONGEST_TEXT} characters")
    for line in text.split("\n"):
        if len(line) > _LONGEST_LINE:
            raise ValueError(f"a line is longer than {_LONGEST_LINE} characters")
        if re.sub(_STRING, "", line).count(".") > _MOST_DOTS:
            raise ValueError("a key of too many parts")


def _event(name: str, table: dict[str, Any], distribution: str) -> Declaration:
    _check_name(name)
    unknown = set(table) - set(_KEYS)
    if unknown:
        raise ValueError(f"{name}: unknown key {min(unknown)!r}")
    arguments = _arguments(name, table.get("arguments", []))
    right, target = _word(name, table, "right"), _word(name, table, "target")
    if right and right not in RIGHTS:
        raise ValueError(f"{name}: no right is called {right!r}")
    types = dict(arguments).get(target)
    if target and types is None:
        raise ValueError(f"{name}: the target {target!r} is none of its arguments")
    if right and types is not None:
        allowed = _TARGETS.get(right, _TEXTS)
        if not set(types.split("|")) <= {*allowed, "None"}:
            raise ValueError(f"{name}: the target of {right} must be {' or '.join(allowed)}")
    return Declaration(name, arguments, right, target, _word(name, table, "note"), distribution)


def _check_name(name: str) -> None:
    words = name.partition("/")[0].split(".")
    if len(name) > _LONGEST_NAME or not name.isascii():
        raise ValueError("an event's name is ASCII, and no longer than 120 characters")
    rest = name.partition("/")[2]
    if len(words) < 2 or not all(word.isidentifier() for word in words):
        raise ValueError(f"{name!r} is no name for an event: PACKAGE.WHAT")
    if "/" in name and not rest.isalnum():
        raise ValueError(f"{name!r} is no name for an event: PACKAGE.WHAT")
    taken = {known.partition(".")[0] for known, row in BY_NAME.items() if row[4] != "application"}
    if words[0] in taken | _TAKEN:
        raise ValueError(f"{name}: events that begin with {words[0]}. are not a library's")


def _arguments(name: str, given: object) -> tuple[tuple[str, str], ...]:
    if type(given) is not list or len(given) > MOST_ARGUMENTS:
        raise ValueError(f"{name}: arguments must be at most {MOST_ARGUMENTS} texts 'NAME: TYPES'")
    found: dict[str, str] = {}
    for text in given:
        argument, colon, types = text.partition(":") if type(text) is str else ("", "", "")
        argument = argument.strip()
        words = [word.strip() for word in types.split("|")] if colon else ["object"]
        if not argument.isascii() or not argument.isidentifier() or argument in found:
            raise ValueError(f"{name}: an argument is 'NAME: TYPES', each name once")
        if not set(words) <= set(WORDS):
            raise ValueError(f"{name}: the types of {argument} must be of {', '.join(WORDS)}")
        found[argument] = "|".join(words)
    return tuple(found.items())


def _word(name: str, table: dict[str, Any], key: str) -> str:
    value = table.get(key, "")
    if type(value) is not str or len(value) > _LONGEST_NOTE:
        raise ValueError(f"{name}: {key} must be a text of at most {_LONGEST_NOTE} characters")
    return value
