"""The bridge's data: bytes as values (`loads`), for both sides.

Makes nothing but the listed types, in proportion to the bytes it was given. Format: docs/bridge.md.
Part of the live guest's first lines, and read by the host too; runs on any CPython from 3.8.
"""

from _struct import Struct
from _struct import error as _struct_error  # type: ignore[attr-defined]

if "TEXTS" not in globals():  # in the guest, all parts are one file
    from belljar.sandbox.guest.keys import MOST_FROZEN, SAME, Malformed, put_in, watched
    from belljar.sandbox.guest.values import _CONTAINER, _ITEM, _MEMBER, _PAIR, _SET, DEPTH, ROOM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Get = Callable[["_Reading", bytes, int, int], "tuple[Any, int]"]

_GROWTH = 96  # bytes of memory that a value may take for each of its own, besides
_SLACK = 1 << 16
_u32 = Struct("<I").unpack_from
_i64 = Struct("<q").unpack_from
_f64 = Struct("<d").unpack_from


class _Reading:
    __slots__ = ("frozen", "keys", "resolve", "room", "same")

    def __init__(self, resolve: "Any", room: int) -> None:
        self.resolve = resolve
        self.room = room  # bytes of memory that are left
        self.keys = 0  # above 0: within a key, or an item of a set
        self.frozen = 0  # frozen sets so far
        self.same = SAME  # keys with equal hashes that are left where keys hold frozen sets


def loads(data: bytes, resolve: "Any" = None, room: int = ROOM, start: int = 0) -> "Any":
    """The value that is `data` from `start` on. References are what `resolve(kind, number)`, or
    `resolve(kind, number, data)`, gives; it raises LookupError for what is none.

    Raises Malformed for whatever is not exactly one value in this format, that takes at most
    `room` bytes of memory as estimated here, and 96 times its bytes.
    """
    size = len(data) - start
    r = _Reading(resolve, min(room, _GROWTH * size + _SLACK))
    try:
        value, at = _GET[data[start]](r, data, start + 1, 0)
    except (LookupError, ValueError, TypeError, ArithmeticError, _struct_error) as error:
        raise Malformed("not a value: %s" % type(error).__name__) from None
    except MemoryError:
        raise Malformed("the value does not fit into memory") from None
    if at != len(data):
        raise Malformed("%d bytes behind the value" % (len(data) - at))
    return value


def _no_value(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[Any, int]":
    raise Malformed("no type has the mark %d" % data[at - 1])


def _charge(r: "_Reading", amount: int) -> None:
    r.room -= amount
    if r.room < 0:
        raise Malformed("the value takes too much memory")


def _cut(data: bytes, at: int, n: int) -> bytes:
    piece = data[at : at + n]
    if len(piece) != n:
        raise Malformed("the value ends too early")
    return piece


def _get_int8(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[int, int]":
    n = data[at]
    return (n if n < 128 else n - 256), at + 1


def _get_big(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[int, int]":
    n = _u32(data, at)[0]
    return int.from_bytes(_cut(data, at + 4, n), "little", signed=True), at + 4 + n


def _get_short_str(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[str, int]":
    end = at + 1 + data[at]
    piece = data[at + 1 : end]
    if end > len(data):
        raise Malformed("the value ends too early")
    return piece.decode("utf-8", "surrogatepass"), end


def _get_str(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[str, int]":
    n = _u32(data, at)[0]
    piece = _cut(data, at + 4, n)
    _charge(r, 4 * n)
    return piece.decode("utf-8", "surrogatepass"), at + 4 + n


def _get_short_bytes(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[bytes, int]":
    n = data[at]
    return _cut(data, at + 1, n), at + 1 + n


def _get_bytes(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[bytes, int]":
    n = _u32(data, at)[0]
    return _cut(data, at + 4, n), at + 4 + n


def _get_bytearray(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[bytearray, int]":
    n = _u32(data, at)[0]
    return bytearray(_cut(data, at + 4, n)), at + 4 + n


def _get_complex(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[complex, int]":
    return complex(_f64(data, at)[0], _f64(data, at + 8)[0]), at + 16


def _items(
    r: "_Reading", data: bytes, at: int, depth: int, n: int, cost: int = _ITEM
) -> "tuple[list[Any], int]":
    if depth >= DEPTH:
        raise Malformed("containers are more than %d deep" % DEPTH)
    if n > len(data) - at:
        raise Malformed("the value ends too early")
    r.room -= _CONTAINER + cost * n
    if r.room < 0:
        raise Malformed("the value takes too much memory")
    depth += 1
    table = _GET
    out = []
    for _ in range(n):
        value, at = table[data[at]](r, data, at + 1, depth)
        out.append(value)
    return out, at


def _get_short_tuple(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[Any, int]":
    out, at = _items(r, data, at + 1, depth, data[at])
    return tuple(out), at


def _get_tuple(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[Any, int]":
    out, at = _items(r, data, at + 4, depth, _u32(data, at)[0])
    return tuple(out), at


def _get_list(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[list[Any], int]":
    return _items(r, data, at + 4, depth, _u32(data, at)[0])


def _packed(kind: "Callable[[Any], Any]", letter: str) -> "Get":
    def get(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[Any, int]":
        n = _u32(data, at)[0]
        if depth >= DEPTH or 8 * n > len(data) - at - 4:
            raise Malformed("too deep, or the value ends too early")
        _charge(r, _CONTAINER + _ITEM * n)
        return kind(Struct("<%d%s" % (n, letter)).unpack_from(data, at + 4)), at + 4 + 8 * n

    return get


def _get_dict(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[dict[Any, Any], int]":
    n = _u32(data, at)[0]
    at += 4
    if depth >= DEPTH:
        raise Malformed("containers are more than %d deep" % DEPTH)
    if 2 * n > len(data) - at:
        raise Malformed("the value ends too early")
    _charge(r, _CONTAINER + _PAIR * n)
    depth += 1
    table = _GET
    keys = []
    values = []
    frozen = r.frozen
    for _ in range(n):
        r.keys += 1
        key, at = table[data[at]](r, data, at + 1, depth)
        r.keys -= 1
        value, at = table[data[at]](r, data, at + 1, depth)
        keys.append(key)
        values.append(value)
    many = watched(r, keys, r.frozen != frozen)
    made = put_in({}, keys, values) if many else dict(zip(keys, values))  # noqa: B905
    if len(made) != n:
        raise Malformed("a key occurs twice")
    return made, at


def _set(kind: "Callable[[Any], Any]") -> "Get":
    def get(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[Any, int]":
        frozen = r.frozen
        r.keys += 1
        _charge(r, _SET)
        out, at = _items(r, data, at + 4, depth, _u32(data, at)[0], _MEMBER)
        r.keys -= 1
        many = watched(r, out, r.frozen != frozen)
        if kind is frozenset:
            r.frozen += 1
            if many and len(out) > MOST_FROZEN:
                raise Malformed("a frozen set is too large")
        made = put_in(set(), out) if many and kind is set else kind(out)
        if len(made) != len(out):
            raise Malformed("an item occurs twice")
        return made, at

    return get


def _get_reference(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[Any, int]":
    if r.keys or r.resolve is None:
        raise Malformed("a reference where none may be")
    return r.resolve(data[at], _u32(data, at + 1)[0]), at + 5


def _get_reference_and_data(r: "_Reading", data: bytes, at: int, depth: int) -> "tuple[Any, int]":
    if r.keys or r.resolve is None:
        raise Malformed("a reference where none may be")
    (about,), end = _items(r, data, at + 5, depth, 1)
    return r.resolve(data[at], _u32(data, at + 1)[0], about), end


_GET: "list[Get]" = [_no_value] * 256
for _mark, _get in (
    ("N", lambda r, data, at, depth: (None, at)),
    ("T", lambda r, data, at, depth: (True, at)),
    ("F", lambda r, data, at, depth: (False, at)),
    ("i", _get_int8),
    ("I", lambda r, data, at, depth: (_i64(data, at)[0], at + 8)),
    ("J", _get_big),
    ("f", lambda r, data, at, depth: (_f64(data, at)[0], at + 8)),
    ("c", _get_complex),
    ("s", _get_short_str),
    ("S", _get_str),
    ("b", _get_short_bytes),
    ("B", _get_bytes),
    ("y", _get_bytearray),
    ("t", _get_short_tuple),
    ("U", _get_tuple),
    ("L", _get_list),
    ("d", _get_dict),
    ("e", _set(set)),
    ("z", _set(frozenset)),
    ("q", _packed(tuple, "d")),
    ("Q", _packed(list, "d")),
    ("k", _packed(tuple, "q")),
    ("K", _packed(list, "q")),
    ("@", _get_reference),
    ("&", _get_reference_and_data),
):
    _GET[ord(_mark)] = _get

if __name__ == "belljar.sandbox.guest.reading":  # on the host: what the other part adds
    from belljar.sandbox.guest import kinds_read  # noqa: F401
