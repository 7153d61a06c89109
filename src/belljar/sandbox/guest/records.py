"""What comes over the bridge where a dataclass or an enumeration was sent.

Part of the live guest's first lines, and read by the host too; runs on any CPython from 3.8.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Record:
    """A dataclass's instance as data: `record.x` and `record["x"]` are fields.

    `type_name` is what its class called itself: a text from the other side, which proves nothing.
    Names that begin with an underscore are had by `record["_x"]` alone: libraries look for such
    attributes (`__array_interface__`) and believe what they find.
    """

    __slots__ = ("_fields", "_type_name")
    _fields: "dict[str, Any]"
    _type_name: str
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, type_name: str, fields: "dict[str, Any]") -> None:
        object.__setattr__(self, "_type_name", type_name)
        object.__setattr__(self, "_fields", dict(fields))

    @property
    def type_name(self) -> str:
        return self._type_name

    @property
    def fields(self) -> "dict[str, Any]":
        """A copy of name -> value, in the order of the class."""
        return dict(self._fields)

    def __getitem__(self, name: str) -> "Any":
        return self._fields[name]

    def __getattr__(self, name: str) -> "Any":
        if name[:1] != "_" and name in self._fields:
            return self._fields[name]
        raise AttributeError(name)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a record cannot be changed")

    __delattr__ = __setattr__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if type(other) is not Record:
            return NotImplemented
        return self._type_name == other._type_name and self._fields == other._fields

    def __repr__(self) -> str:
        return "<record %s: %s>" % (ascii(self._type_name)[1:-1], ascii([*self._fields])[1:-1])


class EnumValue:
    """A member of an enumeration as data: the class's name, the member's name, its value."""

    __slots__ = ("_name", "_type_name", "_value")
    _type_name: str
    _name: "str | None"
    _value: "Any"

    def __init__(self, type_name: str, name: "str | None", value: "Any") -> None:
        object.__setattr__(self, "_type_name", type_name)
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_value", value)

    type_name = property(lambda self: self._type_name)
    name = property(lambda self: self._name)
    value = property(lambda self: self._value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an enumeration's value cannot be changed")

    __delattr__ = __setattr__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if type(other) is not EnumValue:
            return NotImplemented
        mine = (self._type_name, self._name, self._value)
        return mine == (other._type_name, other._name, other._value)

    def __hash__(self) -> int:
        return hash((self._type_name, self._name))

    def __repr__(self) -> str:
        return "<%s.%s>" % (ascii(self._type_name)[1:-1], ascii(self._name or "")[1:-1])
