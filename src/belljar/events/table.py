"""The documented catalogue, `belljar.catalogue`: every audit event, every known silence, and
what PEP 578 promised.

Versions are written as a range: `""` for all, `3.12+` from 3.12 on, `-3.12` up to and with 3.12.
The table speaks of CPython 3.11 to 3.14 on Linux, where it is proved (`docs/catalogue.md`), and
of what is known of 3.15, of Windows and of macOS, where it is not.

>>> lookup("os.rename").right, lookup("os.rename").target
('write', 'dst')
>>> [entry.name for entry in entries(version="3.11") if entry.name.startswith("time.")]
[]
"""

from __future__ import annotations

from belljar.events.catalogue import CATEGORIES, ROWS
from belljar.events.details import DOUBLES, LIES, PLATFORMS, TYPES, VARIANTS
from belljar.events.elsewhere import MACOS
from belljar.events.elsewhere import ROWS as ELSEWHERE
from belljar.events.pep578 import LINES, Line
from belljar.events.silences import SILENCES, Silence
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.events.catalogue import Row

__all__ = [
    "CATEGORIES", "PLATFORMS_KNOWN", "VERSIONS", "Argument", "Entry", "Line", "Signature",
    "Silence", "entries", "in_version", "lookup", "near", "pep578", "silences",
]  # fmt: skip

#: The versions of CPython that the table speaks of; the last one as far as it is known.
VERSIONS: Final = ("3.11", "3.12", "3.13", "3.14", "3.15")
PLATFORMS_KNOWN: Final = ("linux", "macos", "windows")


class Argument(Value):
    """One argument: its name, and the types it can have (`object`: anything)."""

    name: str
    types: tuple[str, ...]


class Signature(Value):
    """The arguments of an event in a range of versions."""

    versions: str
    arguments: tuple[Argument, ...]


class Entry(Value):
    """All that is known of one event.

    `target` is the name of the argument that says on what `right` is exercised. `doubles` are
    events that the same operation raises as well, `lies` what the event says that is not so,
    `silences` names of operations that look alike and raise nothing.
    """

    name: str
    category: str
    signatures: tuple[Signature, ...]
    right: str | None = None
    target: str | None = None
    versions: str = ""
    platforms: tuple[str, ...] = PLATFORMS_KNOWN
    doubles: tuple[str, ...] = ()
    lies: tuple[str, ...] = ()
    note: str = ""
    pep578: tuple[str, ...] = ()
    silences: tuple[str, ...] = ()

    def arguments(self, version: str = VERSIONS[-2]) -> tuple[Argument, ...]:
        """The arguments in a version of CPython.

        >>> [argument.name for argument in lookup("os.kill").arguments("3.11")]
        ['pid', 'sig']
        """
        for signature in self.signatures:
            if in_version(signature.versions, version):
                return signature.arguments
        return self.signatures[0].arguments


def in_version(versions: str, version: str) -> bool:
    """Is `version` (`3.12`, or longer) in a range of versions?

    >>> in_version("3.12+", "3.13.1"), in_version("-3.12", "3.13")
    (True, False)
    """
    here = _number(version)
    if versions.endswith("+"):
        return here >= _number(versions)
    return not versions or here <= _number(versions)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.strip("+-").split(".")[:2])


def entries(version: str | None = None, platform: str | None = None) -> tuple[Entry, ...]:
    """Every event, by category; of one version or one platform only where that is said."""
    found = _entries().values()
    return tuple(
        entry
        for entry in found
        if (version is None or in_version(entry.versions, version))
        and (platform is None or platform in entry.platforms)
    )


def lookup(name: str) -> Entry | None:
    """What is known of an event, or None for one that is not CPython's."""
    return _entries().get(name)


def near(name: str) -> tuple[str, ...]:
    """Up to three events whose names resemble `name`, best first.

    >>> near("os.renam")[0]
    'os.rename'
    """
    from difflib import get_close_matches

    return tuple(get_close_matches(name[:200], _entries(), 3, 0.5))


def silences(version: str | None = None) -> tuple[Silence, ...]:
    """What happens without an audit event: in any version, or in one."""
    return tuple(s for s in SILENCES if version is None or in_version(s.versions, version))


def pep578() -> tuple[Line, ...]:
    """The tables of PEP 578, each line with what CPython made of it."""
    return LINES


_made: dict[str, Entry] = {}


def _entries() -> dict[str, Entry]:
    if not _made:
        every = [_entry(row, TYPES.get(row[0], "")) for row in ROWS]
        every += [_entry(row, types) for row, types in ELSEWHERE]
        every.sort(key=lambda entry: CATEGORIES.index(entry.category))
        _made.update((entry.name, entry) for entry in every)
    return _made


def _entry(row: Row, types: str) -> Entry:
    name, names, right, target, category, versions, note = row
    signatures = [_signature(*variant) for variant in VARIANTS.get(name, ())]
    signatures.append(_signature("", names, types))
    if row not in ROWS:
        platforms: tuple[str, ...] = ("macos",) if name in MACOS else ("windows",)
    else:
        platforms = tuple(PLATFORMS.get(name, " ".join(PLATFORMS_KNOWN)).split())
    return Entry(
        name, category, tuple(signatures), right or None,
        names.split()[target] if target >= 0 else None, versions, platforms,
        DOUBLES.get(name, ()), LIES.get(name, ()), note,
        tuple(line.promised for line in LINES if name in line.shipped),
        tuple(silence.name for silence in SILENCES if name in silence.related),
    )  # fmt: skip


def _signature(versions: str, names: str, types: str) -> Signature:
    pairs = zip(names.split(), types.split(), strict=True)
    arguments = tuple(Argument(name, tuple(each.split("|"))) for name, each in pairs)
    return Signature(versions, arguments)
