"""What lies in shared memory, said as plain data: read strictly by both sides.

A form is a tuple: `("bytes", length)`, `("bytearray", length)` or
`("array", dtype, shape, order, offset)`, with numpy's short name of a plain dtype (`<f8`), the
shape, `C` or `F` for how the items follow each other, and the first item's place in the memory.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_DIMENSIONS = 32
_FORM_ITEMS = {
    "b": (1,), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "f": (2, 4, 8, 16), "c": (8, 16, 32),
}  # fmt: skip
_FORM_UNITS = ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as")
_FORM_TEXT = 1 << 20


class BadForm(ValueError):
    """A form that is none, or does not fit its memory."""


def _form_number(text: str, most: int) -> int:
    """A decimal number as it is written by itself: no sign, no space, no leading zero."""
    if not 0 < len(text) <= 9 or text[0] == "0" or not (text.isascii() and text.isdigit()):
        raise BadForm("not a size")
    number = int(text)
    if number > most:
        raise BadForm("too large an item")
    return number


def item_size(dtype: object) -> int:
    """The bytes of one item of a plain dtype; `BadForm` for every other text.

    >>> item_size("<f8"), item_size("<M8[ns]"), item_size("<U5")
    (8, 8, 20)
    """
    if type(dtype) is not str or not 3 <= len(dtype) <= 24 or dtype[0] not in "<>|":
        raise BadForm("not a plain dtype")
    kind, rest = dtype[1], dtype[2:]
    size = 0
    if kind in _FORM_ITEMS:
        size = _form_number(rest, 32)
        if size not in _FORM_ITEMS[kind]:
            raise BadForm("not a plain dtype")
    elif kind in "SU":
        size = _form_number(rest, _FORM_TEXT) * (4 if kind == "U" else 1)
    elif kind in "Mm":
        if rest != "8" and not (rest.startswith("8[") and rest.endswith("]")):
            raise BadForm("not a plain dtype")
        unit = rest[2:-1].lstrip("0123456789")
        count = rest[2 : len(rest) - 1 - len(unit)] if rest != "8" else ""
        if count:
            _form_number(count, 1 << 30)
        if rest != "8" and unit not in _FORM_UNITS:
            raise BadForm("not a plain dtype")
        size = 8
    else:
        raise BadForm("not a plain dtype")
    if (dtype[0] == "|") != (size == 1 or kind == "S"):
        raise BadForm("not a plain dtype")
    return size


def _form_length(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise BadForm("not a length")
    return value


def extent(form: "Any") -> "tuple[int, int]":
    """Where the bytes of a form lie in its memory: offset and length. `BadForm` if it is none.

    No two items share bytes, so that what is made of a form is never larger than its memory.
    """
    if type(form) is not tuple or not form or type(form[0]) is not str:
        raise BadForm("not a form")
    kind = form[0]
    if kind in ("bytes", "bytearray") and len(form) == 2:
        return 0, _form_length(form[1])
    if kind != "array" or len(form) != 5:
        raise BadForm("not a form")
    _, dtype, shape, order, offset = form
    length = item = item_size(dtype)
    if type(shape) is not tuple or len(shape) > MOST_DIMENSIONS:
        raise BadForm("not a shape")
    # numpy multiplies all that are not 0, and must not overflow
    whole = item
    for size in shape:
        length *= _form_length(size)
        whole *= size or 1
        if whole >= 1 << 62:
            raise BadForm("too large a shape")
    if type(order) is not str or order not in ("C", "F"):
        raise BadForm("not an order")
    if _form_length(offset) % (item if item & (item - 1) == 0 else 1):
        raise BadForm("items that are not aligned")
    return offset, length


def fits(form: "Any", size: int) -> "tuple[int, int]":
    """As `extent`, and within memory of `size` bytes."""
    offset, length = extent(form)
    if offset + length > size:
        raise BadForm("more than its memory holds")
    return offset, length


_FORM_CODES = {
    "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "f2": "e", "f4": "f", "f8": "d",
    "u1": "B", "u2": "H", "u4": "I", "u8": "Q",
}  # fmt: skip


def viewed(form: "Any", data: "Any") -> "Any":
    """An array of a checked form where there is no numpy: a `memoryview` of its items and shape,
    or of its bytes for what `memoryview` has no format for."""
    _, dtype, shape, order, offset = form
    bare: "Any" = memoryview(data)[offset : offset + extent(form)[1]].cast("B")
    text = _FORM_CODES.get(dtype[1:], "")
    if dtype[0] == ">" or not text or (order == "F" and len(shape) > 1) or 0 in shape:
        return bare
    return bare.cast(text, shape) if shape else bare.cast(text)
