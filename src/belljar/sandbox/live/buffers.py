"""Large values of one guest: bytes and arrays that cross by shared memory.

In a message they are references: `(BUFFER, number, (form, data))`. Small arrays travel as `data`
and have the number 0; else a descriptor goes to the guest beside the frame, and what the guest
sends lies in a memory that the host made for it. Such memory is charged to the guest until its
pages were given back. The host copies from it, or maps it once nobody else has it and it is sealed.
"""

from __future__ import annotations

import os
import sys
from weakref import WeakValueDictionary

from belljar.errors import BelljarError, GuestProtocolError
from belljar.sandbox.guest.forms import BadForm, extent, fits, viewed
from belljar.sandbox.guest.ops import BUFFER
from belljar.sandbox.guest.pages import fill_new, flat_bytes, straight, with_slack
from belljar.sandbox.guest.tables import put_together, take_apart
from belljar.sandbox.live import memory
from belljar.sandbox.live.arrays import Shared, laid, memory_of, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from mmap import mmap
    from typing import Any, Final

    Refer = Callable[[Any], tuple[int, int, Any] | tuple[int, int] | None]

#: Bytes from which an array goes by shared memory: below, copying it with the frame is cheaper.
#: (For bytes that is decided by `guest.values`.)
THRESHOLD: Final = 512 << 10
_MOST_KEPT: Final = 64
_MOST_GIVEN: Final = 256  # descriptors of the host that one guest may occupy


class NoRoom(Exception):
    """The guest has no room for this. The text is for whoever asked."""


class Buffers:
    """The shared memory of one guest. `room` is how many bytes of it the guest may occupy."""

    def __init__(self, room: int) -> None:
        import threading

        self.room = room
        self.used = 0
        self._last = 0
        self._lock = threading.RLock()  # a collector of garbage may close us in the middle
        self._given: dict[int, tuple[int, int, int]] = {}  # number -> descriptor, size, charged
        self._lent: WeakValueDictionary[int, Shared] = WeakValueDictionary()
        self._kept: dict[int, Shared] = {}  # alive although the host has no array of it any more
        self._closed = False

    def allot(self, size: object) -> tuple[int, int]:
        """Memory that the guest asks for: its number, and the descriptor to send and close.

        Raises `NoRoom` where there is no room, `GuestProtocolError` for no size.
        """
        if type(size) is not int or not 0 < size < 1 << 62:
            raise GuestProtocolError("the guest asked for memory of no size")
        with self._lock:
            whole = with_slack(size)
            if self.used + whole > self.room:
                whole = size
            if self._closed or self.used + whole > self.room or len(self._given) >= _MOST_GIVEN:
                raise NoRoom(
                    f"no room for {size} more bytes of shared memory: {self.used} of "
                    f"{self.room} (limits.memory) are in use, in {len(self._given)} parts"
                )
            try:
                mine, yours = memory.pair(whole)
            except OSError as error:
                raise NoRoom(f"no shared memory: {error.strerror}") from None
            self._last += 1
            self._given[self._last] = mine, size, whole
            self.used += whole
            return self._last, yours

    def lend(self, shared: Shared) -> int:
        """A number for memory that the guest is about to get for reading."""
        with self._lock:
            self._last += 1
            self._lent[self._last] = self._kept[self._last] = shared
            held = sum(one.bytes for one in self._kept.values())
            while len(self._kept) > _MOST_KEPT or (held > self.room and len(self._kept) > 1):
                held -= self._kept.pop(next(iter(self._kept))).bytes
            return self._last

    def drop(self, numbers: object) -> None:
        """The guest has no use for these any more: their pages are given back."""
        if type(numbers) not in (list, tuple):
            raise GuestProtocolError("the guest dropped what has no number")
        for number in numbers:  # type: ignore[attr-defined]
            if type(number) is not int:
                raise GuestProtocolError("the guest dropped what has no number")
            self._kept.pop(number, None)
            self._lent.pop(number, None)
            self.free(number)

    def free(self, number: int) -> None:
        """Give the pages back. A memory that the guest sealed itself stays charged to it."""
        with self._lock:
            fd, _, whole = self._given.pop(number, (-1, 0, 0))
            if fd >= 0:
                if memory.free(fd) or memory.alone(fd):
                    self.used -= whole
                os.close(fd)

    def size_of(self, number: int) -> int:
        """Of memory that was made for the guest. Raises `GuestProtocolError` if there is none."""
        given = self._given.get(number)
        if given is None:
            raise GuestProtocolError("the guest refers to memory that it was not given")
        return given[1]

    def lent(self, number: int) -> Shared | None:
        """Memory of the host that the guest reads."""
        return self._lent.get(number)

    def fill(self, number: int, data: memoryview) -> None:
        """Copy bytes into memory that nobody else has yet. Raises `OSError`."""
        with self._lock:  # here and below: a descriptor that is in use is not closed
            fill_new(self._given.get(number, (-1, 0, 0))[0], data)

    def read(self, number: int, into: memoryview, offset: int) -> None:
        """Copy bytes out of memory that the guest may change meanwhile.

        Raises `GuestProtocolError` where there are not as many.
        """
        with self._lock:
            fd = self._given.get(number, (-1, 0, 0))[0]
            if fd < 0 or not memory.read(fd, into, offset):
                raise GuestProtocolError("the guest took away memory that it handed over")

    def read_bytes(self, number: int, length: int) -> bytes:
        """As `read`, the first bytes as they are."""
        with self._lock:
            fd = self._given.get(number, (-1, 0, 0))[0]
            data = b"" if fd < 0 else os.pread(fd, length, 0)
        if len(data) != length:
            raise GuestProtocolError("the guest took away memory that it handed over")
        return data

    def settle(self, number: int) -> None:
        """The host has read it: if the guest kept nothing of it, its pages are given back."""
        with self._lock:
            left = memory.alone(self._given.get(number, (-1, 0, 0))[0])
        if left:
            self.free(number)

    def take(self, number: int) -> tuple[mmap, int] | None:
        """Memory of the guest as the host's own, without a copy; None where that may not be:
        somebody else has it still, or could write to it. Nothing of the guest's is mapped then."""
        with self._lock:
            fd, size, whole = self._given.get(number, (-1, 0, 0))
            if fd < 0 or not memory.alone(fd) or not memory.sealed(fd, whole):
                return None
            try:
                own, _ = straight(lambda length: memory.map_private(fd, length), size, whole)
            except OSError:  # no room here: it is copied, or that fails
                return None
            del self._given[number]
            self.used -= whole
        os.close(fd)
        return own, size

    def close(self) -> None:
        """The guest has ended: nothing is kept for it."""
        with self._lock:
            self._closed = True
            given, self._given, self.used = self._given, {}, 0
            self._kept.clear()
        for fd, _, _ in given.values():
            os.close(fd)


class Outgoing:
    """One message to the guest: `refer` for `dumps`, then `fds` go with the frame: (number,
    descriptor), each to be sent before it. `others` is asked for what is no large value."""

    def __init__(self, buffers: Buffers, others: Refer | None = None) -> None:
        self.fds: list[tuple[int, int]] = []
        self.places: dict[int, int] = {}  # number -> what the peer calls its descriptor
        self._buffers = buffers
        self._others = others
        self._to_close: list[int] = []
        self._seen: dict[int, tuple[tuple[int, int, Any], object]] = {}

    def refer(self, value: Any) -> tuple[int, int, Any] | tuple[int, int] | None:
        """The reference for a large value. Raises `BelljarError` for one that cannot cross."""
        kind = type(value)
        seen = self._seen.get(id(value))
        if seen is not None:
            return seen[0]
        if kind is bytes or kind is bytearray:
            made = self._copy((kind.__name__, len(value)), memoryview(value))
        else:
            numpy, pyarrow = sys.modules.get("numpy"), sys.modules.get("pyarrow")
            if numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic)):
                made = self._array(numpy, value)
            elif pyarrow is not None and kind is pyarrow.Table:
                import numpy as loaded

                made = BUFFER, 0, take_apart(pyarrow, loaded, value)
            else:
                return None if self._others is None else self._others(value)
        self._seen[id(value)] = made, value
        return made

    def _array(self, numpy: Any, value: Any) -> tuple[int, int, Any]:
        if isinstance(value, numpy.generic):
            return BUFFER, 0, (("scalar", plain(value.dtype)), value.tobytes())
        if type(value) is not numpy.ndarray:
            raise BelljarError(
                f"a {type(value).__name__} cannot cross: only plain arrays do "
                "(numpy.asarray makes one)"
            )
        order = "C" if value.flags.c_contiguous or not value.flags.f_contiguous else "F"
        form = ("array", plain(value.dtype), value.shape, order, 0)
        where = memory_of(value) if value.flags[f"{order}_CONTIGUOUS"] else None
        if where is not None and where[1] == 0 and where[0].bytes == value.nbytes:
            # only the whole: a part would show the rest to the guest
            number = self._buffers.lend(where[0])
            self.fds.append((number, where[0].fd))
            return BUFFER, number, (form, None)
        flat = flat_bytes(numpy, value, order)
        if flat.nbytes < THRESHOLD:
            return BUFFER, 0, (form, bytes(flat))
        return self._copy(form, flat)

    def _copy(self, form: Any, data: memoryview) -> tuple[int, int, Any]:
        try:
            number, fd = self._buffers.allot(data.nbytes)
        except NoRoom as why:
            raise BelljarError(f"this value is too large for the guest: {why}") from None
        self._to_close.append(fd)
        self.fds.append((number, fd))
        try:
            self._buffers.fill(number, data)
        except OSError as error:
            raise BelljarError(f"no shared memory for this value: {error.strerror}") from None
        return BUFFER, number, (form, None)

    def done(self, sent: bool = True) -> None:
        """The message is on its way, or was not sent: then nothing of it stays."""
        for fd in self._to_close:
            os.close(fd)
        if not sent:
            self._buffers.drop([number for number, _ in self.fds])
        self._to_close, self.fds = [], []
        self._seen.clear()


class Incoming:
    """One message of the guest: `resolve` for `loads`. Nothing in it is believed."""

    def __init__(self, buffers: Buffers) -> None:
        self._buffers = buffers
        self._taken: dict[int, tuple[Any, int]] = {}
        self._copied: list[int] = []
        self._work = max(buffers.room, THRESHOLD)  # bytes to copy and to look at

    def resolve(self, number: int, entry: object) -> object:
        """The value of a reference. Raises `GuestProtocolError`."""
        if type(entry) is not tuple or len(entry) != 2:
            raise GuestProtocolError("the guest sent a large value in another form")
        try:
            if number == 0 and type(entry[0]) is tuple and entry[0][:1] == ("table",):
                return _table(*entry)
            return _small(*entry) if number == 0 else self._large(number, *entry)
        except BadForm as bad:
            raise GuestProtocolError(f"the guest sent a large value that is {bad}") from None

    def _large(self, number: int, form: Any, data: object) -> object:
        _, length = extent(form)
        if data is not None or not length:
            raise BadForm("told in two ways")
        lent = self._buffers.lent(number)
        if lent is not None and form[0] == "array":
            fits(form, lent.bytes)
            if form[1][1] in "bU":
                self._count(length)
            return _array(form, lent)
        self._count(length)
        if form[0] == "array" and number not in self._taken:
            own = self._buffers.take(number)
            if own is not None:
                self._taken[number] = own
        if number in self._taken:
            own_memory, size = self._taken[number]
            fits(form, size)
            return _array(form, own_memory)
        fits(form, self._buffers.size_of(number))
        self._copied.append(number)
        return _copied(form, self._buffers, number)

    def _count(self, length: int) -> None:
        """No message makes more work than its guest has memory: it could name one again and again,
        and each time it would be copied, or looked at."""
        self._work -= length
        if self._work < 0:
            raise BadForm("one of too many")

    def done(self) -> None:
        """All is read. What the guest kept nothing of is given back."""
        for number in set(self._copied):
            self._buffers.settle(number)
        self._copied.clear()


def _small(form: Any, data: object) -> object:
    if type(data) is not bytes:
        raise BadForm("without its bytes")
    if type(form) is tuple and len(form) == 2 and form[0] == "scalar":
        form = ("array", form[1], (), "C", 0)
        if extent(form) != (0, len(data)):
            raise BadForm("not as long as it says")
        return _array(form, data)[()]
    if extent(form) != (0, len(data)) or form[0] != "array":
        raise BadForm("not as long as it says")
    return _array(form, bytearray(data))


def _table(form: Any, buffers: Any) -> object:
    try:
        numpy, pyarrow = __import__("numpy"), __import__("pyarrow")
    except ImportError:
        raise GuestProtocolError(
            "the guest sent an Arrow table, and this Python has no pyarrow and numpy: install "
            "them, or let it send arrays"
        ) from None
    try:
        return put_together(pyarrow, numpy, form, buffers)
    except BadForm:
        raise
    except Exception:  # noqa: BLE001 - what Arrow makes of hostile data is not ours to foresee
        raise BadForm("a table that Arrow refuses") from None


def _copied(form: Any, buffers: Buffers, number: int) -> object:
    """A copy that nobody else has: what the guest writes meanwhile is in it or not, no more."""
    offset, length = extent(form)
    if form[0] == "bytes" and length < 1 << 30:  # more than that the kernel does not read at once
        return buffers.read_bytes(number, length)
    numpy = sys.modules.get("numpy") if form[0] == "array" else None
    own: Any = bytearray(length) if numpy is None else numpy.empty(length, "u1")
    buffers.read(number, memoryview(own), offset)
    if form[0] == "array":
        return _array((*form[:4], 0), own)
    return bytes(own) if form[0] == "bytes" else own


def _array(form: Any, over: Any) -> Any:
    """An array over memory of our own; its items are checked where any bit pattern is not one."""
    if "numpy" not in sys.modules:
        import importlib.util

        if importlib.util.find_spec("numpy") is None:
            return viewed(form, over)
    made = laid(form, over)
    kind = made.dtype.kind
    # numpy counts on it that a bool is 0 or 1 and that text is Unicode
    if kind == "b" and made.size and made.view("u1").max() > 1:
        raise BadForm("a bool that is neither false nor true")
    if kind == "U" and made.size:
        order = "F" if form[3] == "F" else "C"
        flat = (made.T if order == "F" else made).reshape(-1)
        codes = flat.view(made.dtype.byteorder + "u4" if made.dtype.byteorder in "<>" else "u4")
        if codes.max() > 0x10FFFF:
            raise BadForm("text with no characters")
    return made
