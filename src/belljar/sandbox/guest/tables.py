"""Arrow tables as arrays of bytes, and back: for both sides, without Arrow's own file format.

A table is `("table", rows, ((name, type, time zone), ...))` and, for each column, its buffers as
arrays of uint8: which items are there (or None), the items, or offsets and bytes. What cannot be
said so (nested types, dictionaries, extensions) does not cross. Runs on any CPython from 3.8.
"""

if "fits" not in globals():  # in the guest, all parts are one file
    from belljar.sandbox.guest.forms import BadForm
    from belljar.sandbox.guest.values import Unsendable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Bytes of an item; of an offset, for items of any length.
_ARROW_ITEMS = {
    "int8": 1, "int16": 2, "int32": 4, "int64": 8, "uint8": 1, "uint16": 2, "uint32": 4,
    "uint64": 8, "float16": 2, "float32": 4, "float64": 8, "date32": 4, "date64": 8,
    "time32[s]": 4, "time32[ms]": 4, "time64[us]": 8, "time64[ns]": 8,
    "timestamp[s]": 8, "timestamp[ms]": 8, "timestamp[us]": 8, "timestamp[ns]": 8,
    "duration[s]": 8, "duration[ms]": 8, "duration[us]": 8, "duration[ns]": 8,
}  # fmt: skip
_ARROW_TEXTS = {"string": 4, "binary": 4, "large_string": 8, "large_binary": 8}
_MOST_COLUMNS = 10_000


def _arrow_type(pyarrow: "Any", name: str, zone: str) -> "Any":
    made, _, unit = name.partition("[")
    if made == "timestamp" and zone:
        return pyarrow.timestamp(unit[:-1], zone)
    return getattr(pyarrow, made if made != "bool" else "bool_")(*([unit[:-1]] if unit else []))


def _arrow_name(pyarrow: "Any", kind: "Any") -> "tuple[str, str] | None":
    """The name of a type as above, and its time zone; None for one that does not cross."""
    zone = getattr(kind, "tz", None) or ""
    for name in ("bool", *_ARROW_ITEMS, *_ARROW_TEXTS):
        if kind == _arrow_type(pyarrow, name, zone if name.startswith("timestamp") else ""):
            return name, zone
    return None


def _arrow_sizes(name: str, rows: int) -> "tuple[int, int]":
    """Bytes of the bits that say which items are there, and of the items or offsets."""
    bits = (rows + 7) // 8
    if name == "bool":
        return bits, bits
    if name in _ARROW_TEXTS:
        return bits, (rows + 1) * _ARROW_TEXTS[name]
    return bits, rows * _ARROW_ITEMS[name]


def take_apart(pyarrow: "Any", numpy: "Any", table: "Any") -> "tuple[Any, Any]":
    """Form and buffers of a table. Raises Unsendable for a column that does not cross."""
    columns, buffers = [], []
    rows = table.num_rows
    for name, column in zip(table.column_names, table.columns):  # noqa: B905
        known = _arrow_name(pyarrow, column.type)
        if known is None:
            raise Unsendable(
                "the column %r of type %s cannot cross the bridge: only plain columns do "
                "(numbers, text, bytes, bools, times)" % (name, column.type)
            )
        columns.append((name, *known))
        # One piece that begins at the beginning: what lies beside a slice stays here.
        whole = pyarrow.concat_arrays([*column.chunks, pyarrow.array([], column.type)])
        if whole.offset or len(whole.buffers()) > 2:
            whole = whole.take(pyarrow.array(range(rows), pyarrow.int64()))
        buffers.append(_arrow_buffers(numpy, whole, known[0], rows))
    return ("table", rows, tuple(columns)), tuple(buffers)


def _arrow_buffers(numpy: "Any", whole: "Any", name: str, rows: int) -> "tuple[Any, ...]":
    found = whole.buffers()
    sizes: "list[int]" = list(_arrow_sizes(name, rows))
    arrays = [None if one is None else numpy.frombuffer(one, "u1") for one in found]
    if name in _ARROW_TEXTS:
        width = _ARROW_TEXTS[name]
        ends = arrays[1]
        last = 0 if ends is None or not rows else ends[rows * width : (rows + 1) * width]
        sizes.append(int.from_bytes(bytes(last), "little") if rows else 0)
    return tuple(
        None if one is None else one[:size]
        for one, size in zip(arrays, sizes)  # noqa: B905
    )


def put_together(pyarrow: "Any", numpy: "Any", form: "Any", buffers: "Any") -> "Any":
    """The table. Nothing of what is said is believed: raises BadForm."""
    if type(form) is not tuple or len(form) != 3 or type(form[1]) is not int:
        raise BadForm("not a table")
    _, rows, columns = form
    right = type(columns) is tuple and type(buffers) is tuple and len(columns) == len(buffers)
    if not right or len(columns) > _MOST_COLUMNS or not 0 <= rows < 1 << 40:
        raise BadForm("not a table")
    arrays, names = [], []
    for column, own in zip(columns, buffers):  # noqa: B905
        if type(column) is not tuple or [type(one) for one in column] != [str, str, str]:
            raise BadForm("not a column")
        name, kind, zone = column
        if kind != "bool" and kind not in _ARROW_ITEMS and kind not in _ARROW_TEXTS:
            raise BadForm("not a column of a plain type")
        if zone and (len(zone) > 64 or not zone.isascii() or not zone.isprintable()):
            raise BadForm("not a time zone")
        arrays.append(_put_together(pyarrow, numpy, rows, kind, zone, own))
        names.append(name)
    return pyarrow.Table.from_arrays(arrays, names=names)


def _put_together(
    pyarrow: "Any", numpy: "Any", rows: int, kind: str, zone: str, own: "Any"
) -> "Any":
    text = kind in _ARROW_TEXTS
    if type(own) is not tuple or len(own) != (3 if text else 2):
        raise BadForm("not the buffers of a column")
    if not rows:
        return pyarrow.array([], _arrow_type(pyarrow, kind, zone))
    for place, (one, size) in enumerate(zip(own, (*_arrow_sizes(kind, rows), 0))):  # noqa: B905
        if one is None and place != 1:
            continue  # all items are there, or all texts are empty
        if type(one) is not numpy.ndarray or one.dtype.str != "|u1" or one.ndim != 1:
            raise BadForm("not the buffers of a column")
        if one.nbytes < size:
            raise BadForm("a column shorter than it says")
    own = list(own)
    if text:
        own[1] = own[1].copy()  # where texts begin: no later change of shared memory moves them
    packed = [
        None if one is None else pyarrow.py_buffer(numpy.ascontiguousarray(one)) for one in own
    ]
    try:
        made = pyarrow.Array.from_buffers(_arrow_type(pyarrow, kind, zone), rows, packed)
        made.validate(full=True)
    except (pyarrow.ArrowException, ValueError, OverflowError):
        raise BadForm("a column that Arrow refuses") from None
    return made
