"""Large values inside: bytes and arrays that cross by shared memory (docs/arrays.md).

All memory is made by the host, which asks for nothing here to be so: it checks what it gets. Part
of the live guest's first lines, runs on any CPython from 3.8.
"""

import posix
import sys
from _weakref import ref as _weak

if "fits" not in globals():  # in the guest, all parts are one file
    from belljar.sandbox.guest.forms import BadForm, extent, viewed
    from belljar.sandbox.guest.ops import BUFFER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SHARED_FROM = 256 << 10  # bytes of an array that go by shared memory


def _plain_dtype(dtype: "Any") -> str:
    if dtype.hasobject or dtype.kind not in "biufcSUMm" or not dtype.itemsize:
        raise TypeError(
            "an array of dtype %s cannot cross the bridge: only numbers, fixed-length bytes and "
            "text, and times do" % (dtype,)
        )
    text: str = dtype.str
    return text


class Memories:
    """The shared memory of this guest: `refer` and `resolve` for large values, `array`.

    `ask(size)` gives number and descriptor of new memory; `received(number)` the descriptor that
    came with a reference.
    """

    def __init__(
        self, ask: "Callable[[int], tuple[int, int]]", received: "Callable[[int], int]"
    ) -> None:
        self._ask = ask
        self._received = received
        self._maps: "dict[int, Any]" = {}  # number -> weak reference to its map
        self._class: "Any" = None
        self._dead: "list[int]" = []
        self._told: "dict[int, None]" = {}  # referred to in the message that is being written

    def _map(self, number: int, fd: int, size: int, write: bool) -> "Any":
        import mmap

        if self._class is None:

            class Mapped(mmap.mmap):
                """Shared memory; it is given back when the last array over it is gone."""

                number = 0
                writable = False

            self._class = Mapped
        try:
            access = mmap.PROT_READ | mmap.PROT_WRITE if write else mmap.PROT_READ
            made = self._class(fd, size, mmap.MAP_SHARED, access)
        finally:
            posix.close(fd)
        made.number, made.writable = number, write
        dead, maps = self._dead, self._maps

        def gone(_: object) -> None:
            maps.pop(number, None)
            dead.append(number)

        maps[number] = _weak(made, gone)
        return made

    def array(self, shape: "Any", dtype: "Any" = "float64", order: str = "C") -> "Any":
        """A new numpy array of zeros that the host takes over without a copy when it is returned
        and nothing here holds it any more. Raises MemoryError beyond the guest's room for it."""
        numpy: "Any" = __import__("numpy")
        kind = numpy.dtype(dtype)
        sizes = (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)
        form = ("array", _plain_dtype(kind), sizes, order, 0)
        _, length = extent(form)
        if not length:
            return numpy.zeros(sizes, kind, order)
        return numpy.ndarray(sizes, kind, self._new(length), order=order)

    def _new(self, size: int) -> "Any":
        number, fd = self._ask(size)
        return self._map(number, fd, size, True)

    # --- to the host ---------------------------------------------------------------------------

    def refer(self, value: "Any") -> "tuple[int, int, Any] | None":
        """The reference for a large value; None for what is none."""
        kind = type(value)
        if kind is bytes or kind is bytearray:
            made = self._new(len(value))
            made[:] = value
            self._told[made.number] = None
            return BUFFER, made.number, ((kind.__name__, len(value)), None)
        numpy = sys.modules.get("numpy")
        if numpy is None or kind.__module__.partition(".")[0] != "numpy":
            return None
        if isinstance(value, numpy.generic):
            return BUFFER, 0, (("scalar", _plain_dtype(value.dtype)), value.tobytes())
        if kind is not numpy.ndarray:
            return None
        return self._array(numpy, value)

    def _array(self, numpy: "Any", value: "Any") -> "tuple[int, int, Any]":
        dtype = _plain_dtype(value.dtype)
        order = "C" if value.flags.c_contiguous or not value.flags.f_contiguous else "F"
        packed = value.flags.c_contiguous or value.flags.f_contiguous
        base = value.base
        while base is not None and type(base) is not self._class:
            base = getattr(base, "base", None)
        if base is not None and packed and value.nbytes:
            start = numpy.frombuffer(base, "u1").__array_interface__["data"][0]
            offset = value.__array_interface__["data"][0] - start
            form = ("array", dtype, value.shape, order, offset)
            try:
                extent(form)
            except BadForm:
                pass  # a view of another kind: a copy goes
            else:
                self._told[base.number] = None
                return BUFFER, base.number, (form, None)
        form = ("array", dtype, value.shape, order, 0)
        if value.nbytes < _SHARED_FROM:
            return BUFFER, 0, (form, value.tobytes(order))
        made = self._new(value.nbytes)
        copy = numpy.ndarray(value.shape, value.dtype, made, order=order)
        copy[...] = value
        self._told[made.number] = None
        return BUFFER, made.number, (form, None)

    def sent(self, whole: bool = True) -> "list[int]":
        """A message was written (or could not be): the numbers that the host is to be told of as
        dropped. What is in a message and gone here is the host's to give back."""
        told, self._told = self._told, {}
        dropped = []
        for _ in range(len(self._dead)):
            number = self._dead.pop(0)
            if not whole or number not in told:
                dropped.append(number)
        return dropped

    # --- from the host -------------------------------------------------------------------------

    def resolve(self, number: int, entry: "Any") -> "Any":
        """The value of a reference from the host."""
        form, data = entry
        if form[0] == "scalar":
            return self._laid(("array", form[1], (), "C", 0), data, True)
        if number == 0:
            return self._laid(form, bytearray(data), False)
        known = self._maps.get(number)
        made = None if known is None else known()
        if made is None:
            fd = self._received(number)
            size = posix.fstat(fd).st_size
            if form[0] != "array":
                return self._bytes(form, number, fd)
            try:
                made = self._map(number, posix.dup(fd), size, True)
            except PermissionError:  # the host's own memory: sealed against writers
                made = self._map(number, posix.dup(fd), size, False)
            finally:
                posix.close(fd)
        return self._laid(form, made, False)

    def _bytes(self, form: "Any", number: int, fd: int) -> "Any":
        kind, length = form
        whole = bytearray(length) if kind == "bytearray" else None
        try:
            if whole is None and length < 1 << 30:
                data = posix.pread(fd, length, 0)
                if len(data) == length:
                    return data
            into = memoryview(bytearray(length) if whole is None else whole)
            at = 0
            while at < length:
                count = posix.preadv(fd, [into[at:]], at)
                if not count:
                    raise OSError("memory that ended early")
                at += count
            return whole if whole is not None else bytes(into)
        finally:
            posix.close(fd)
            self._dead.append(number)

    def _laid(self, form: "Any", over: "Any", scalar: bool) -> "Any":
        _, dtype, shape, order, offset = form
        try:
            numpy: "Any" = __import__("numpy")
        except ImportError:  # not granted, or not there
            plain = viewed(form, over)
            return plain[()] if scalar and plain.format != "B" else plain
        made = numpy.ndarray(shape, numpy.dtype(dtype), over, offset, order=order)
        return made[()] if scalar else made
