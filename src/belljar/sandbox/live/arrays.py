"""`belljar.array`: arrays that lie in shared memory from birth.

A guest gets such an array without a copy, and can only read it: the memory is sealed against every
other writer when it is made (`F_SEAL_FUTURE_WRITE`), before anybody else has it.
"""

from __future__ import annotations

import mmap
import os
import weakref

from belljar.errors import BelljarError
from belljar.sandbox.guest.forms import BadForm, extent
from belljar.sandbox.guest.pages import at_birth, straight, with_slack
from belljar.sandbox.live import memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class Shared(mmap.mmap):
    """A mapping of the host's whose descriptor may be handed to guests, who cannot write to it."""

    fd: int
    bytes: int


def array(shape: int | Sequence[int], dtype: object = "float64", order: str = "C") -> Any:
    """A new array of zeros in shared memory: passing it to a guest costs no copy.

    It is a `numpy.ndarray` (needs numpy) of any plain dtype: bool, integers, floats, complex,
    fixed-length bytes and text, times. What the host writes to it later, guests that were given
    it see; they get it read-only. It is freed with its last reference, on both sides.

    Raises `BelljarError` for dtypes that hold objects or fields, `OSError` without memory.

    >>> a = belljar.array((1000, 3), "float32")  # doctest: +SKIP
    """
    try:
        import numpy
    except ImportError:
        raise BelljarError(
            "belljar.array needs numpy, which is not installed: pip install numpy"
        ) from None

    kind: Any = numpy.dtype(dtype)  # type: ignore[call-overload]
    sizes = (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)
    form = ("array", plain(kind), sizes, order, 0)
    try:
        _, length = extent(form)
    except BadForm as bad:
        raise BelljarError(f"cannot make an array of shape {sizes} and {kind}: {bad}") from None
    if not length:
        return numpy.zeros(sizes, kind, order="F" if order == "F" else "C")
    return laid(form, shared(length))


def shared(size: int) -> Shared:
    """New memory, mapped here for writing; nobody else can ever write to it."""
    # Growing is sealed for the accounting, shrinking so that no reader faults.
    fd = memory.create(with_slack(size), memory.SHRINK | memory.GROW)
    try:
        found = straight(lambda length: Shared(fd, length), size, with_slack(size))
        at_birth(found[0], fd, found[1], size)
        memory.close_to_writers(fd)
    except OSError as error:
        os.close(fd)
        raise BelljarError(
            f"cannot share memory ({error.strerror}); pass ordinary arrays, which are copied "
            "(sealing against later writers needs Linux 5.1)"
        ) from None
    made: Shared = found[0]
    made.fd, made.bytes = fd, size
    weakref.finalize(made, os.close, fd).atexit = False
    return made


def plain(dtype: Any) -> str:
    """The name of a plain dtype. Raises `BelljarError` for one that holds objects or fields."""
    if dtype.hasobject:
        why = (
            "its items are Python objects, which cannot cross; pass it.tolist(), or "
            "it.astype(float) or (str)"
        )
    elif dtype.fields is not None or dtype.subdtype is not None:
        why = "structured items do not cross; pass the fields as arrays of their own"
    elif dtype.kind not in "biufcSUMm" or not dtype.itemsize:
        why = "only numbers, fixed-length bytes and text, and times cross"
    else:
        return str(dtype.str)
    raise BelljarError(f"an array of dtype {dtype} cannot be shared: {why}")


def laid(form: Any, over: Any) -> Any:
    """An array of a checked form over memory; read-only where the memory is."""
    _, dtype, shape, order, offset = form
    import numpy

    try:
        kind = numpy.dtype(dtype)
    except TypeError:  # such floats are not on every machine
        raise BadForm("not a plain dtype here") from None
    if kind.str != dtype or kind.hasobject:  # the list of forms and numpy disagree: not ours
        raise BadForm("not a plain dtype")
    return numpy.ndarray(shape, kind, over, offset, order=order)


def memory_of(value: Any) -> tuple[Shared, int] | None:
    """The shared memory that an array lies in, and where in it; None if it lies elsewhere."""
    import numpy

    base = value.base
    while base is not None and type(base) is not Shared:
        base = getattr(base, "base", None)
    if base is None:
        return None
    start = numpy.frombuffer(base, "u1").__array_interface__["data"][0]
    return base, value.__array_interface__["data"][0] - start
