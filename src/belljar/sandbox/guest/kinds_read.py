"""The bridge's further kinds of data, from bytes: dates, decimals, paths, dataclasses and such.

Their modules are imported when the first such value comes. Part of the live guest's first lines,
and read by the host too; runs on any CPython from 3.8.
"""

from _struct import Struct

if "TEXTS" not in globals():  # in the guest, all parts are one file
    from belljar.sandbox.guest.keys import Malformed
    from belljar.sandbox.guest.kinds import _LEAVES, _PART, _PATHS, _STEP, _module, _plain_decimal
    from belljar.sandbox.guest.reading import (
        _GET,
        _charge,
        _cut,
        _get_short_str,
        _get_str,
        _items,
        _u32,
    )  # fmt: skip
    from belljar.sandbox.guest.records import EnumValue, Record
    from belljar.sandbox.guest.values import _CONTAINER, _PAIR, _RECORD, DEPTH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from belljar.sandbox.guest.reading import _Reading


def _get_timedelta(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[Any, int]":
    days, seconds, micro = _span(data, at)
    if not (abs(days) <= 999_999_999 and seconds < 86400 and micro < 1_000_000):
        raise Malformed("a time span that is none")
    return _module("datetime").timedelta(days, seconds, micro), at + 12


def _zone(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[Any, int]":
    if data[at] == 78:
        return None, at + 1
    if data[at] != 90:
        raise Malformed("a zone that is none")
    return _get_zone(r, data, at + 1, depth)


def _get_zone(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[Any, int]":
    if data[at] != 119:
        raise Malformed("a zone without its offset")
    offset, at = _get_timedelta(r, data, at + 1, depth)
    _charge(r, 128)
    if data[at] == 78:
        return _module("datetime").timezone(offset), at + 1
    name, at = _text(r, data, at, depth)
    return _module("datetime").timezone(offset, name), at


def _text(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[str, int]":
    if data[at] not in (115, 83):
        raise Malformed("a text was due")
    return (_get_short_str if data[at] == 115 else _get_str)(r, data, at + 1, depth)


def _whole(r: "_Reading", data: bytes, at: int, most: int) -> "tuple[int, int]":
    """An int of at most `most` bytes."""
    if data[at] not in (105, 73, 74) or (data[at] == 74 and _u32(data, at + 1)[0] > most):
        raise Malformed("a number of usual size was due")
    return _GET[data[at]](r, data, at + 1, 0)


def _get_date(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[Any, int]":
    return _module("datetime").date(*_date(data, at)), at + 4


def _get_time(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[Any, int]":
    hour, minute, second, micro, fold = _time(data, at)
    zone, at = _zone(r, data, at + 8, depth)
    return _module("datetime").time(hour, minute, second, micro, zone, fold=fold), at


def _get_datetime(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[Any, int]":
    day = _date(data, at)
    if data[at + 4] != 72:
        raise Malformed("a date without its time")
    hour, minute, second, micro, fold = _time(data, at + 5)
    zone, at = _zone(r, data, at + 13, depth)
    made = _module("datetime").datetime(*day, hour, minute, second, micro, zone, fold=fold)
    return made, at


def _get_decimal(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[Any, int]":
    n = _u16(data, at)[0]
    text = _cut(data, at + 2, n)
    _charge(r, 80 + n)
    if not _plain_decimal(text):
        raise Malformed("a decimal that is none")
    return _module("decimal").Decimal(text.decode("ascii")), at + 2 + n


def _get_fraction(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[Any, int]":
    _charge(r, 128)
    numerator, at = _whole(r, data, at, _PART)
    denominator, at = _whole(r, data, at, _PART)
    if denominator <= 0:
        raise Malformed("a fraction that is none")
    return _module("fractions").Fraction(numerator, denominator), at


def _get_uuid(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[Any, int]":
    _charge(r, 160)
    return _module("uuid").UUID(bytes=_cut(data, at, 16)), at + 16


def _get_path(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[Any, int]":
    _charge(r, 256)
    text, end = _text(r, data, at + 1, depth)
    for name, mark in _PATHS.items():
        if mark[0] == data[at]:
            return getattr(_module("pathlib"), name)(text), end
    raise Malformed("a path of no kind")


def _steps(kind: "Any") -> "Any":
    def get(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[Any, int]":
        _charge(r, 128)
        parts = []
        for _ in range(3):
            if kind is slice and data[at] == 78:
                part, at = None, at + 1
            else:
                part, at = _whole(r, data, at, _STEP)
            parts.append(part)
        return kind(*parts), at

    return get


def _get_record(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[Any, int]":
    if r.keys:
        raise Malformed("a record cannot be a key")
    n = _u32(data, at)[0]
    name, at = _text(r, data, at + 4, depth)
    _charge(r, _RECORD)
    if len(name) > 256 or 2 * n > len(data) - at or n > 65536 or depth >= DEPTH:
        raise Malformed("a record that is none")
    _charge(r, _PAIR * n)
    fields = {}
    for _ in range(n):
        field, at = _text(r, data, at, depth)
        if not field.isidentifier():
            raise Malformed("a field that has no name")
        fields[field], at = _GET[data[at]](r, data, at + 1, depth + 1)
    if len(fields) != n:
        raise Malformed("a field occurs twice")
    return Record(name, fields), at


def _get_member(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[Any, int]":
    kind, at = _text(r, data, at, depth)
    name, at = _text(r, data, at, depth)
    _charge(r, _CONTAINER)
    (value,), at = _items(r, data, at, depth, 1)
    if r.keys and type(value) not in _LEAVES:
        raise Malformed("a value that cannot be a key")
    return EnumValue(kind, name or None, value), at


_u16 = Struct("<H").unpack_from
_span = Struct("<iII").unpack_from
_date = Struct("<HBB").unpack_from
_time = Struct("<BBBIB").unpack_from
for _mark, _get in (
    ("w", _get_timedelta), ("Z", _get_zone), ("D", _get_date), ("H", _get_time),
    ("W", _get_datetime), ("M", _get_decimal), ("V", _get_fraction), ("G", _get_uuid),
    ("P", _get_path), ("r", _steps(range)), ("x", _steps(slice)), ("R", _get_record),
    ("E", _get_member),
):  # fmt: skip
    _GET[ord(_mark)] = _get
