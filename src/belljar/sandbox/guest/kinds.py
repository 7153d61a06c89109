"""The bridge's further kinds of data, as bytes: dates, decimals, paths, dataclasses and such.

Part of the live guest's first lines, and read by the host too; runs on any CPython from 3.8.
"""

import sys
from _struct import Struct

if "TEXTS" not in globals():  # in the guest, all parts are one file
    from belljar.sandbox.guest.records import EnumValue, Record
    from belljar.sandbox.guest.values import (
        _BI,
        _CONTAINER,
        _FINDERS,
        _ITEM,
        _PAIR,
        _PUT,
        _RECORD,
        Unsendable,
        _deeper,
        _put_int,
        _put_other,
        _put_str,
    )  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from belljar.sandbox.guest.values import _Writing

_EXPONENT = 1_000_000  # of a Decimal, either way: the default context's
_DIGITS = 65_000  # of a Decimal
_PART = 4096  # bytes of a Fraction's numerator or denominator: their gcd is quadratic
_LARGEST_KIND = 256  # bytes of memory that the reader counts for one of these at most, but its text
_STEP = 32  # bytes of a part of a range or slice


def _plain_decimal(text: bytes) -> bool:
    """Whether it is a Decimal's text, of bounded length and exponent."""
    body = text[1:] if text[:1] == b"-" else text
    if body[:3] == b"NaN" or body[:4] == b"sNaN":
        rest = body.partition(b"N")[2][2:]
        return len(rest) <= _DIGITS and (not rest or rest.isdigit())
    if body == b"Infinity":
        return True
    digits, mark, exponent = body.partition(b"E")
    whole, _, part = digits.partition(b".")
    size = exponent[1:] if exponent[:1] in (b"+", b"-") else exponent
    return (
        len(digits) <= _DIGITS
        and (whole + part).isdigit()
        and (not mark or (size.isdigit() and len(size) <= 7 and int(size) <= _EXPONENT))
    )


def _put_timedelta(w: "_Writing", v: "Any", depth: int) -> None:
    w.put(_SPAN(119, v.days, v.seconds, v.microseconds))


def _put_zone(w: "_Writing", v: "Any", depth: int) -> None:
    """A datetime.timezone, or None."""
    if v is None:
        return w.put(b"N")
    if type(v) is not _module("datetime").timezone:
        raise Unsendable("a date with a zone of rules cannot cross the bridge: send it as UTC")
    offset, *name = v.__getinitargs__()
    w.put(b"Z")
    _put_timedelta(w, offset, depth)
    return _put_str(w, name[0], depth) if name else w.put(b"N")


def _put_date(w: "_Writing", v: "Any", depth: int) -> None:
    w.put(_DATE(68, v.year, v.month, v.day))


def _put_time(w: "_Writing", v: "Any", depth: int) -> None:
    w.put(_TIME(72, v.hour, v.minute, v.second, v.microsecond, v.fold))
    _put_zone(w, v.tzinfo, depth)


def _put_datetime(w: "_Writing", v: "Any", depth: int) -> None:
    w.put(_DATE(87, v.year, v.month, v.day))
    w.put(_TIME(72, v.hour, v.minute, v.second, v.microsecond, v.fold))
    _put_zone(w, v.tzinfo, depth)


def _put_decimal(w: "_Writing", v: "Any", depth: int) -> None:
    text = str(v).encode("ascii")
    if not _plain_decimal(text):
        raise Unsendable("a Decimal of more than %d digits or too great an exponent" % _DIGITS)
    w.put(_MARKED(77, len(text)))
    w.put(text)


def _put_fraction(w: "_Writing", v: "Any", depth: int) -> None:
    w.put(b"V")
    for part in (v.numerator, v.denominator):
        if part.bit_length() >= 8 * _PART:
            raise Unsendable("a Fraction whose parts take more than %d bytes" % _PART)
        _put_int(w, part, depth)


def _put_path(w: "_Writing", v: "Any", depth: int) -> None:
    w.put(b"P")
    w.put(_PATHS[type(v).__name__])
    _put_str(w, str(v), depth)


def _put_steps(mark: bytes) -> "Any":
    def put(w: "_Writing", v: "Any", depth: int) -> None:
        w.put(mark)
        for part in (v.start, v.stop, v.step):
            if part is None:
                w.put(b"N")
            elif type(part) is int and part.bit_length() < 8 * _STEP:
                _put_int(w, part, depth)
            else:
                raise Unsendable("a range or slice whose parts are not numbers of usual size")

    return put


def _put_known(w: "_Writing", v: "Any", depth: int) -> None:
    """A record or an enumeration's value that came over the bridge."""
    if type(v) is Record:
        _put_record(w, v.type_name, v._fields, depth)
    else:
        _put_member(w, v.type_name, v.name, v.value, depth)


def _put_record(w: "_Writing", name: str, fields: "dict[str, Any]", depth: int) -> None:
    if w.keys:
        raise Unsendable("a dataclass's instance cannot be a key or in a set: it goes as data")
    w.put(_BI(82, len(fields)))
    _put_str(w, name, depth)
    depth = _deeper(w, _RECORD + _PAIR * len(fields), depth)
    for field, value in fields.items():
        _put_str(w, field, depth)
        _PUT.get(type(value), _put_other)(w, value, depth)


def _put_member(w: "_Writing", kind: str, name: "str | None", value: "Any", depth: int) -> None:
    if w.keys and type(value) not in _LEAVES:
        raise Unsendable("an enumeration's value that is a key must be a number or text")
    w.put(b"E")
    _put_str(w, kind, depth)
    _put_str(w, name or "", depth)
    depth = _deeper(w, 2 * _CONTAINER + _ITEM, depth)
    _PUT.get(type(value), _put_other)(w, value, depth)


def _module(name: str) -> "Any":
    return sys.modules.get(name) or __import__(name)


def _find_type(w: "_Writing", v: "Any", depth: int) -> bool:
    """Of a module that has been imported since."""
    for name, types in _KINDS.items():
        module = sys.modules.get(name)
        if module is not None and types:
            try:
                known = [(getattr(module, kind), put) for kind, put in types]
            except AttributeError:
                continue  # it is being imported
            types.clear()
            _PUT.update((kind, _charged(put)) for kind, put in known)
    put = _PUT.get(type(v))
    if put is not None:
        put(w, v, depth)
    return put is not None


def _charged(put: "Any") -> "Any":
    def write(w: "_Writing", v: "Any", depth: int) -> None:
        _deeper(w, _LARGEST_KIND, 0)
        put(w, v, depth)

    return write


def _find_class(w: "_Writing", v: "Any", depth: int) -> bool:
    """Enumerations and dataclasses. What a class says of itself is read without asking it."""
    kind = type(v)
    enum = sys.modules.get("enum")
    if enum is not None and issubclass(type(kind), enum.EnumMeta):
        own = object.__getattribute__(v, "__dict__")
        _put_member(w, _name_of(kind), own.get("_name_"), own.get("_value_"), depth)
        return True
    for base in type.__dict__["__mro__"].__get__(kind):
        fields = type.__dict__["__dict__"].__get__(base).get("__dataclass_fields__")
        if type(fields) is dict:
            values = {
                name: object.__getattribute__(v, name)
                for name, field in fields.items()
                if getattr(getattr(field, "_field_type", None), "name", "") == "_FIELD"
            }
            _put_record(w, _name_of(kind), values, depth)
            return True
    return False


def _name_of(kind: type) -> str:
    name = type.__dict__["__qualname__"].__get__(kind)
    return str(name)[:256]


_SPAN = Struct("<BiII").pack
_DATE = Struct("<BHBB").pack
_TIME = Struct("<BBBBIB").pack
_MARKED = Struct("<BH").pack
_PATHS = {"PosixPath": b"p", "PurePosixPath": b"u", "PureWindowsPath": b"w"}
_LEAVES = frozenset((type(None), bool, int, float, str, bytes))
_KINDS: "dict[str, list[tuple[str, Any]]]" = {
    "datetime": [
        ("date", _put_date), ("time", _put_time), ("datetime", _put_datetime),
        ("timedelta", _put_timedelta), ("timezone", _put_zone),
    ],
    "decimal": [("Decimal", _put_decimal)],
    "fractions": [("Fraction", _put_fraction)],
    "uuid": [("UUID", lambda w, v, depth: w.put(b"G" + v.int.to_bytes(16, "big")))],
    "pathlib": [(name, _put_path) for name in _PATHS],
}  # fmt: skip
_PUT[range] = _put_steps(b"r")
_PUT[slice] = _put_steps(b"x")
_PUT[Record] = _PUT[EnumValue] = _put_known
_FINDERS[:] = [_find_type, _find_class]
