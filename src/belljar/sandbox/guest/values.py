"""The bridge's data: values as bytes (`dumps`), for both sides; `reading` has the way back.

Takes exact types only and calls no method of a value's own. Format: docs/bridge.md. Part of the
live guest's first lines, and read by the host too; runs on any CPython from 3.8.
"""

from _struct import Struct
from _struct import error as _struct_error  # type: ignore[attr-defined]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Put = Callable[["_Writing", Any, int], None]

if "TEXTS" not in globals():  # in the guest, all parts are one file
    from belljar.sandbox.guest.keys import MOST_FROZEN, TEXTS, Malformed

DEPTH = 64  # containers in one another
ROOM = 256 << 20  # bytes of memory that one value may take, as estimated by:
_CONTAINER, _SET, _RECORD = 64, 256, 192  # each one, and for each
_ITEM, _PAIR, _MEMBER = 40, 160, 128  # item of a list or tuple, pair of a dict, item of a set
LARGE = 1 << 20  # bytes and bytearrays from here on are offered to `refer`
_PACKED = 8  # numbers alike from here on go as one piece

_BB = Struct("<BB").pack
_BI = Struct("<BI").pack
_BQ = Struct("<Bq").pack
_BD = Struct("<Bd").pack
_I = Struct("<I")
_Q = Struct("<q")
_D = Struct("<d")
_REF = Struct("<BBI")
_SMALL = {n: b"i" + n.to_bytes(1, "little", signed=True) for n in range(-128, 128)}


class Unsendable(TypeError):
    """The value cannot cross the bridge; the text says why."""


class _Writing:
    __slots__ = ("keys", "put", "refer", "room")

    def __init__(self, put: "Callable[[bytes], None]", refer: "Any", room: int) -> None:
        self.put = put
        self.refer = refer
        self.room = room  # bytes of memory that the other side has left for it
        self.keys = 0  # above 0: within a key, or an item of a set


def dumps(value: object, refer: "Any" = None, room: int = ROOM) -> bytes:
    """`value` as bytes. `refer(obj)` gives `(kind, number)` or `(kind, number, data)` for what is
    not data, or None. Raises Unsendable, also for what takes more than `room` bytes of memory as
    the reader counts them (a list that holds one list twice sends it twice).

    >>> loads(dumps({"a": (1, 2.5)}))
    {'a': (1, 2.5)}
    """
    out: "list[bytes]" = []
    _PUT.get(type(value), _put_other)(_Writing(out.append, refer, room), value, 0)
    return b"".join(out) if len(out) != 1 else out[0]


def _put_int(w: "_Writing", v: int, depth: int) -> None:
    if v in _SMALL:
        w.put(_SMALL[v])
    elif -0x8000000000000000 <= v <= 0x7FFFFFFFFFFFFFFF:
        w.put(_BQ(73, v))
    else:
        body = v.to_bytes(v.bit_length() // 8 + 1, "little", signed=True)
        w.put(_BI(74, len(body)))
        w.put(body)


def _put_str(w: "_Writing", v: str, depth: int) -> None:
    body = v.encode("utf-8", "surrogatepass")
    n = len(body)
    if n < 256:
        w.put(_BB(115, n) + body)
    else:
        _deeper(w, 4 * _short(n), 0)
        w.put(_BI(83, n) + body)


def _put_bytes(w: "_Writing", v: bytes, depth: int) -> None:
    n = len(v)
    if n < LARGE or w.keys or not _put_reference(w, v, depth):
        w.put(_BB(98, n) if n < 256 else _BI(66, _short(n)))
        w.put(v)


def _put_bytearray(w: "_Writing", v: bytearray, depth: int) -> None:
    n = len(v)
    if n < LARGE or not _put_reference(w, v, depth):
        body = bytes(v)  # another thread may change its length
        w.put(_BI(121, _short(len(body))))
        w.put(body)


def _short(n: int) -> int:
    if n >= 1 << 31:
        raise Unsendable("a value of %d bytes or items is too long for the bridge" % n)
    return n


def _deeper(w: "_Writing", cost: int, depth: int) -> int:
    w.room -= cost
    if w.room < 0:
        raise Unsendable(
            "the value takes more memory than may cross at once, or holds itself: pass it in "
            "parts, or as bytes or an array"
        )
    if depth >= DEPTH:
        raise Unsendable("the value is deeper than %d containers, or holds itself" % DEPTH)
    return depth + 1


def _put_items(w: "_Writing", values: "tuple[Any, ...]", depth: int) -> None:
    depth = _deeper(w, _CONTAINER + _ITEM * len(values), depth)
    table = _PUT
    for value in values:
        table.get(type(value), _put_other)(w, value, depth)


def _put_tuple(w: "_Writing", v: "tuple[Any, ...]", depth: int) -> None:
    n = len(v)
    if n >= _PACKED and _put_packed(w, v, 0, depth):
        return
    w.put(_BB(116, n) if n < 256 else _BI(85, _short(n)))
    _put_items(w, v, depth)


def _put_list(w: "_Writing", v: "list[Any]", depth: int) -> None:
    values = tuple(v)  # another thread may change its length
    n = len(values)
    if n >= _PACKED and _put_packed(w, values, 1, depth):
        return
    w.put(_BI(76, _short(n)))
    _put_items(w, values, depth)


def _put_packed(w: "_Writing", values: "tuple[Any, ...]", kind: int, depth: int) -> bool:
    """Numbers of one type as one piece; False where they are not."""
    first = type(values[0])
    if (first is not float and first is not int) or any(type(v) is not first for v in values):
        return False
    try:
        body = Struct("<%d%s" % (len(values), "d" if first is float else "q")).pack(*values)
    except _struct_error:  # an int beyond 64 bits
        return False
    _deeper(w, _CONTAINER + _ITEM * len(values), depth)
    w.put(_BI((113 if first is float else 107) - 32 * kind, _short(len(values))))
    w.put(body)
    return True


def _put_dict(w: "_Writing", v: "dict[Any, Any]", depth: int) -> None:
    pairs = tuple(v.items())
    w.put(_BI(100, _short(len(pairs))))
    depth = _deeper(w, _CONTAINER + _PAIR * len(pairs), depth)
    table = _PUT
    for key, value in pairs:
        if type(key) is str:
            _put_str(w, key, depth)
        else:
            w.keys += 1
            table.get(type(key), _put_other)(w, key, depth)
            w.keys -= 1
        table.get(type(value), _put_other)(w, value, depth)


def _put_set(w: "_Writing", v: "Any", depth: int) -> None:
    values = tuple(v)
    if type(v) is frozenset and len(v) > MOST_FROZEN and not TEXTS.issuperset(map(type, v)):
        raise Unsendable("a frozenset of more than %d items that are not texts" % MOST_FROZEN)
    w.put(_BI(101 if type(v) is set else 122, _short(len(values))))
    w.room -= _SET + (_MEMBER - _ITEM) * len(values)
    w.keys += 1
    _put_items(w, values, depth)
    w.keys -= 1


def _put_reference(w: "_Writing", v: object, depth: int) -> bool:
    found = w.refer(v) if w.refer is not None else None
    if found is None:
        return False
    if w.keys:
        raise Unsendable("what goes by reference cannot be a key or in a set")
    if len(found) == 2:
        w.put(_REF.pack(64, *found))
    else:
        w.put(_REF.pack(38, *found[:2]))
        depth = _deeper(w, _CONTAINER + _ITEM, depth)
        _PUT.get(type(found[2]), _put_other)(w, found[2], depth)
    return True


def _put_other(w: "_Writing", v: object, depth: int) -> None:
    """What is not in the table: see `kinds`; else a reference."""
    if not any(find(w, v, depth) for find in _FINDERS) and not _put_reference(w, v, depth):
        name = type.__dict__["__qualname__"].__get__(type(v))
        error: "Any" = Unsendable(
            "%s is not data that crosses the bridge%s" % (name, _remedy(type(v)))
        )
        error.what = v  # see `placing`
        raise error


#: What is data of another kind, by the first part of its module and its name: how it becomes ours.
_REMEDIES = {
    ("pandas", "DataFrame"): "pyarrow.Table.from_pandas(it), or it.to_dict()",
    ("pandas", "Series"): "it.to_numpy(), or it.to_list()",
    ("polars", "DataFrame"): "it.to_arrow(), or it.to_dicts()",
    ("polars", "Series"): "it.to_numpy(), or it.to_list()",
    ("torch", "Tensor"): "it.detach().cpu().numpy()",
    ("tensorflow", "EagerTensor"): "it.numpy()",
    ("jaxlib", "ArrayImpl"): "numpy.asarray(it)",
    ("scipy", ""): "it.toarray()",
    ("PIL", ""): "numpy.asarray(it)",
    ("pyarrow", "RecordBatch"): "pyarrow.Table.from_batches([it])",
    ("pyarrow", ""): "it.to_pylist(), or a pyarrow.Table",
    ("pydantic", "BaseModel"): "it.model_dump()",
    ("msgspec", "Struct"): "msgspec.structs.asdict(it)",
    ("array", "array"): "it.tolist(), or a numpy array",
    ("builtins", "memoryview"): "bytes(it)",
    ("builtins", "mappingproxy"): "dict(it)",
    ("collections", "deque"): "list(it)",
    ("builtins", "dict"): "dict(it)",
    ("builtins", "list"): "list(it)",
    ("builtins", "tuple"): "tuple(it)",
    ("builtins", "set"): "set(it)",
    ("builtins", "frozenset"): "frozenset(it)",
    ("builtins", "str"): "str(it)",
    ("builtins", "bytes"): "bytes(it)",
    ("builtins", "int"): "int(it)",
    ("builtins", "float"): "float(it)",
}


def _remedy(kind: type) -> str:
    """What to pass instead, as the end of a sentence. Runs nothing of the type's."""
    if "__attrs_attrs__" in type.__dict__["__dict__"].__get__(kind):
        return ": pass attrs.asdict(it)"
    for one in type.__dict__["__mro__"].__get__(kind):
        module = type.__dict__["__module__"].__get__(one)
        if type(module) is str and one is not object:
            first = module.partition(".")[0]
            name = type.__dict__["__qualname__"].__get__(one)
            known = _REMEDIES.get((first, name)) or _REMEDIES.get((first, ""))
            if known:
                return ": pass " + known
    return ": pass its data%s" % _ELSE


#: What the host may do, too.
_ELSE = ", or belljar.Exposed(it, methods=[...])" if __name__.startswith("belljar.") else ""


#: Of `kinds`: each writes the value and says so, or does nothing.
_FINDERS: "list[Callable[[_Writing, Any, int], bool]]" = []
_PUT: "dict[type, Put]" = {
    type(None): lambda w, v, depth: w.put(b"N"),
    bool: lambda w, v, depth: w.put(b"T" if v else b"F"),
    int: _put_int,
    float: lambda w, v, depth: w.put(_BD(102, v)),
    complex: lambda w, v, depth: w.put(b"c" + _D.pack(v.real) + _D.pack(v.imag)),
    str: _put_str,
    bytes: _put_bytes,
    bytearray: _put_bytearray,
    tuple: _put_tuple,
    list: _put_list,
    dict: _put_dict,
    set: _put_set,
    frozenset: _put_set,
}

if __name__ == "belljar.sandbox.guest.values":  # on the host: what the other parts add
    from belljar.sandbox.guest import kinds  # noqa: F401

    if TYPE_CHECKING:
        from belljar.sandbox.guest.reading import loads
        from belljar.sandbox.guest.records import EnumValue, Record

    __all__ = ["EnumValue", "Malformed", "Record", "Unsendable", "dumps", "loads"]

    def __getattr__(name: str) -> "Any":
        if name not in __all__:
            raise AttributeError(name)
        from belljar.sandbox.guest import reading, records

        return getattr(reading if name == "loads" else records, name)
