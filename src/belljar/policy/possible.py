"""Which rights an event of a given name can need, and which names can need a right.

From the catalogue alone, before any event was seen: what the recorder is told to ask about, and
which rules are worth trying for a name.
"""

from __future__ import annotations

from belljar.events.catalogue import BY_NAME, lookup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

#: Events whose arguments decide which right they need; "" where that can be none.
_SEVERAL: Final[dict[str, tuple[str, ...]]] = {
    "belljar.open": ("read", "write", "append", "list"),
    "open": ("read", "write", "append", "list"),
    "import": ("import", "native"),
    "sqlite3.connect": ("read", ""),
    "belljar.denied": ("import", ""),
}
_NONE: Final = ("",)


def rights_of(name: str) -> tuple[str, ...]:
    """The rights that an event called `name` can need; "" among them where it can be none.

    >>> rights_of("os.rename"), rights_of("shop.refund")
    (('write',), ('',))
    """
    several = _SEVERAL.get(name)
    if several is not None:
        return several
    row = lookup(name)
    return _NONE if row is None else (row[2],)


def has_target(name: str) -> bool:
    """Can an event called `name` tell a target? (That of `exec` is the file of the code.)"""
    row = lookup(name)
    return row is not None and (row[3] >= 0 or name in ("exec", "_posixsubprocess.fork_exec"))


def names_needing(rights: Sequence[str]) -> tuple[str, ...]:
    """The catalogued events that can need one of `rights`.

    `import` needs `native` only where a C module is loaded: that is the name `import/native`,
    so that waiting for native code does not mean waiting for every import.

    >>> names_needing(["bind"])
    ('socket.bind',)
    """
    names = []
    for row in BY_NAME.values():  # declared ones, too
        needed = rights_of(row[0])
        if row[0] == "import":
            if "import" in rights:
                names.append("import")
            elif "native" in rights:
                names.append("import/native")
        elif row[0].startswith("belljar."):
            continue  # what the recorder tells by itself does not wait
        elif any(right in rights for right in needed):
            names.append(row[0])
    return tuple(names)
