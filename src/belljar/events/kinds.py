"""Does a recorded event fit what is said of its arguments? For declarations and for the proofs."""

from __future__ import annotations

from belljar.events.values import BigInt, Code, Cut, TypeName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

#: The words for types. `object` is anything.
WORDS: Final = (
    "str", "bytes", "int", "float", "bool", "None", "tuple", "list", "dict", "code", "object",
)  # fmt: skip
_KINDS: Final[dict[type, str]] = {
    str: "str", bytes: "bytes", int: "int", BigInt: "int", float: "float", bool: "bool",
    type(None): "None", tuple: "array",
}  # fmt: skip
_FITS: Final[dict[str, tuple[str, ...]]] = {
    "str": ("str", "cut"),
    "bytes": ("bytes", "cut"),
    "int": ("int", "bool"),
    "float": ("float", "int"),
    "tuple": ("array",),
    "list": ("array",),
    "dict": ("array",),  # its keys
    "code": ("code", "<code>"),
}


def kind(value: object) -> str:
    """The kind of a recorded value: a word of `WORDS`, `array`, `cut`, or `<Type>` in angles.

    >>> kind(("a", 1)), kind(TypeName("PosixPath"))
    ('array', '<PosixPath>')
    """
    if type(value) is TypeName:
        return f"<{value.name}>"
    if type(value) is Cut:
        return "cut"
    if type(value) is Code:
        return "code"
    return _KINDS.get(type(value), "<object>")


def fits(types: str, found: str) -> bool:
    """Is a value of kind `found` one of `types`, such as `str|bytes|None`?

    `?` is a value that the recorder left out for want of room, and fits everything.

    >>> fits("str|None", "None"), fits("str|None", "int")
    (True, False)
    """
    return found == "?" or any(
        word in ("object", found) or found in _FITS.get(word, ()) for word in types.split("|")
    )


def mismatch(types: Sequence[str], found: Sequence[str]) -> str:
    """What is wrong with the kinds of an event's arguments; "" where they fit.

    >>> mismatch(["str", "int"], ["str"])
    '1 arguments where 2 are due'
    """
    if len(types) != len(found):
        return f"{len(found)} arguments where {len(types)} are due"
    for number, (wanted, got) in enumerate(zip(types, found, strict=True), 1):
        if not fits(wanted, got):
            return f"argument {number} is {got} and not {wanted}"
    return ""
