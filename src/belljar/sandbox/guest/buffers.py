"""Large values inside: bytes and arrays that cross by shared memory (docs/arrays.md).

All memory is made by the host, which asks for nothing here to be so: it checks what it gets. Part
of the live guest's first lines, runs on any CPython from 3.8.
"""

import posix
import sys
from _thread import get_ident
from _weakref import ref as _weak

if "fits" not in globals():  # in the guest, all parts are one file
    from belljar.sandbox.guest.forms import BadForm, extent, viewed
    from belljar.sandbox.guest.ops import BUFFER, GUEST_ASKS, RAISED, REQUEST
    from belljar.sandbox.guest.pages import at_birth, fill_new, flat_bytes, straight
    from belljar.sandbox.guest.peer import Peer
    from belljar.sandbox.guest.tables import put_together, take_apart
    from belljar.sandbox.guest.values import Unsendable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SHARED_FROM = 512 << 10  # bytes of an array that go by shared memory


def _plain_dtype(dtype: "Any") -> str:
    if dtype.hasobject or dtype.kind not in "biufcSUMm" or not dtype.itemsize:
        raise Unsendable(
            "an array of dtype %s cannot cross the bridge: only numbers, fixed-length bytes and "
            "text, and times do" % (dtype,)
        )
    text: str = dtype.str
    return text


class _Gone(_weak):  # type: ignore[type-arg]
    """A weak reference to a map; where that is gone, it lies among the dead."""

    __slots__ = ("number",)
    number: int


class Memories:
    """The shared memory of this guest: `refer` and `resolve` for large values, `array`.

    `ask(size)` gives number and descriptor of new memory; `claim(place)` is the descriptor that
    came before a reference.
    """

    def __init__(
        self, ask: "Callable[[int], tuple[int, int]]", claim: "Callable[[Any], int]"
    ) -> None:
        self._ask = ask
        self._claim = claim
        self._maps: "dict[int, Any]" = {}  # number -> weak reference to its map
        self._class: "Any" = None
        self._dead: "list[Any]" = []
        #: By thread, the memories that the message being written refers to. The host may take one
        #: over as soon as it reads of it: a second reference within a message would find nothing.
        self._told: "dict[int, set[int]]" = {}
        self._sent: "set[int]" = set()  # the threads whose message was written
        self._lost: "set[int]" = set()  # gone, and in a message that is being written

    def _map(self, number: int, fd: int, size: int, write: bool, new: bool = False) -> "Any":
        import mmap

        if self._class is None:

            class Mapped(mmap.mmap):
                """Shared memory; it is given back when the last array over it is gone."""

                number = 0
                writable = False

            self._class = Mapped
        try:
            access = mmap.PROT_READ | mmap.PROT_WRITE if write else mmap.PROT_READ
            made, good = straight(
                lambda length: self._class(fd, length, mmap.MAP_SHARED, access),
                size,
                posix.fstat(fd).st_size,
            )
            if new:
                at_birth(made, fd, good, size)
        finally:
            posix.close(fd)
        made.number, made.writable = number, write
        gone = self._maps[number] = _Gone(made, self._dead.append)
        gone.number = number
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
        return self._map(number, fd, size, True, True)

    def _copy(self, form: "Any", data: "memoryview") -> "tuple[int, int, Any]":
        """A copy that only the host will have."""
        number, fd = self._ask(len(data))
        try:
            fill_new(fd, data)
            self._told.setdefault(get_ident(), set()).add(number)
        finally:
            posix.close(fd)
            self._unmapped(number)
        return BUFFER, number, (form, None)

    def _unmapped(self, number: int) -> None:
        """Nothing here holds this memory, and there was no map whose end would say so."""
        gone = _Gone(Memories)
        gone.number = number
        self._dead.append(gone)

    # --- to the host ---------------------------------------------------------------------------

    def refer(self, value: "Any") -> "tuple[int, int, Any] | None":
        """The reference for a large value; None for what is none."""
        kind = type(value)
        if kind is bytes or kind is bytearray:
            return self._copy((kind.__name__, len(value)), memoryview(value))
        numpy = sys.modules.get("numpy")
        root = kind.__module__.partition(".")[0]
        if root == "pyarrow" and kind.__name__ == "Table":
            loaded: "Any" = __import__("numpy")
            return BUFFER, 0, take_apart(sys.modules["pyarrow"], loaded, value)
        if numpy is None or root != "numpy":
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
        if base is not None and packed and value.nbytes and self._first(base):
            start = numpy.frombuffer(base, "u1").__array_interface__["data"][0]
            offset = value.__array_interface__["data"][0] - start
            form = ("array", dtype, value.shape, order, offset)
            try:
                extent(form)
            except BadForm:
                pass  # a view of another kind: a copy goes
            else:
                return self._reference(base, form)
        form = ("array", dtype, value.shape, order, 0)
        if value.nbytes < _SHARED_FROM:
            return BUFFER, 0, (form, value.tobytes(order))
        if packed:
            return self._copy(form, flat_bytes(numpy, value, order))
        made = self._new(value.nbytes)
        numpy.ndarray(value.shape, value.dtype, made, order=order)[...] = value
        return self._reference(made, form)

    def _first(self, made: "Any") -> bool:
        return not made.writable or made.number not in self._told.get(get_ident(), ())

    def _reference(self, made: "Any", form: "Any") -> "tuple[int, int, Any]":
        self._told.setdefault(get_ident(), set()).add(made.number)
        return BUFFER, made.number, (form, None)

    def written(self) -> None:
        """This thread's message is on its way: what it refers to and is gone here, the host gives
        back by itself."""
        if get_ident() in self._told:
            self._sent.add(get_ident())

    def dropped(self) -> "list[int]":
        """This thread has nothing more to say of its message: what the host is to give back."""
        thread = get_ident()
        told = self._told.pop(thread, set())
        sent = thread in self._sent
        self._sent.discard(thread)
        dead = [self._dead.pop().number for _ in range(len(self._dead))]
        found = []
        for number in dead:
            self._maps.pop(number, None)
            if number in told:
                if not sent:
                    found.append(number)
            elif not any(number in others for others in list(self._told.values())):
                found.append(number)
            else:
                self._lost.add(number)  # another thread's: it decides
        for number in [number for number in told if number in self._lost]:
            self._lost.discard(number)
            if not sent:
                found.append(number)
        return found

    # --- from the host -------------------------------------------------------------------------

    def resolve(self, number: int, entry: "Any") -> "Any":
        """The value of a reference from the host."""
        form, data, *place = entry
        if form[0] == "table":
            return put_together(__import__("pyarrow"), __import__("numpy"), form, data)
        if form[0] == "scalar":
            return self._laid(("array", form[1], (), "C", 0), data, True)
        if number == 0:
            return self._laid(form, bytearray(data), False)
        known = self._maps.get(number)
        made = None if known is None else known()
        if made is None:
            fd = self._claim(place)
            if form[0] != "array":
                return self._bytes(form, number, fd)
            size = sum(extent(form))
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
            self._unmapped(number)

    def _laid(self, form: "Any", over: "Any", scalar: bool) -> "Any":
        _, dtype, shape, order, offset = form
        try:
            numpy: "Any" = __import__("numpy")
        except ImportError:  # not granted, or not there
            plain = viewed(form, over)
            return plain[()] if scalar and plain.format != "B" else plain
        made = numpy.ndarray(shape, numpy.dtype(dtype), over, offset, order=order)
        return made[()] if scalar else made


_ASKING = bytes((REQUEST, GUEST_ASKS["buffer"]))  # goes while another message is being written


class LargePeer(Peer):
    """A peer that also carries large values, as `memories` has them."""

    def __init__(self, fd: int, *about: "Any", **more: "Any") -> None:
        self.memories = Memories(self._memory, self._claim_descriptor)
        self._others: "dict[str, Any]" = {}
        self._stash: "list[Any]" = []
        self._whole: "Any" = None
        Peer.__init__(self, fd, *about, **more)

    # What others refer to goes on as it was: it is asked when it is no large value.

    @property
    def _refer(self) -> "Any":
        return self._refer_large

    @_refer.setter
    def _refer(self, other: "Any") -> None:
        self._others["refer"] = other

    @property
    def _resolve(self) -> "Any":
        return self._resolve_large

    @_resolve.setter
    def _resolve(self, other: "Any") -> None:
        self._others["resolve"] = other

    def _refer_large(self, value: "Any") -> "Any":
        found = self.memories.refer(value)
        other = self._others["refer"]
        return found if found is not None or other is None else other(value)

    def _resolve_large(self, kind: int, number: int, *about: "Any") -> "Any":
        if kind == BUFFER:
            return self.memories.resolve(number, *about)
        return self._others["resolve"](kind, number, *about)

    def request(self, op: str, body: object) -> "Any":
        """As a peer's."""
        try:
            return Peer.request(self, op, body)
        finally:
            self._free()

    def _answer(self, frame: "Any", depth: int) -> None:
        try:
            Peer._answer(self, frame, depth)
        finally:
            self._free()

    def _free(self) -> None:
        memories = self.memories
        if memories._told or memories._dead:
            dead = memories.dropped()
            if dead:
                self.note("free", tuple(dead))

    def _write(self, data: bytes, sent: "list[int]") -> None:
        Peer._write(self, data, sent)
        if self.memories._told and data[4] != RAISED and data[4:14:9] != _ASKING:
            self.memories.written()

    # --- descriptors ---------------------------------------------------------------------------

    def take_descriptors(self, unclaimed: "Any" = None) -> None:
        """From here on what is read may bring descriptors; `unclaimed` ones are closed.

        A thread that waits for the host now reads once more without: whoever asked for this sends
        something that needs an answer before the first descriptor.
        """
        for place in unclaimed or ():
            fd = self.descriptors.pop(place, -1)
            if fd >= 0:
                posix.close(fd)
        if self._whole is None:
            import _socket

            held: "list[bool]" = []
            lock = self._sending  # a second socket object would close the bridge at its end
            try:
                held.extend(map(lock.acquire, (True,)))  # as in `_send`
                if self._whole is None:
                    kinds = _socket.AF_UNIX, _socket.SOCK_STREAM, 0
                    self._whole = _socket.socket(*kinds, fileno=self._fd)
                    self._receive = self._receive_whole
            finally:
                if held:
                    lock.release()

    def _receive_whole(self, size: int) -> bytes:
        # received and kept within one call, returned without one: a handler runs between calls
        stash = self._stash
        if not stash:
            stash.extend(map(self._whole.recvmsg, (size,), (256,), (0x40000000,)))
        if stash[0][1] or stash[0][2] & 8:
            self._keep_descriptors(stash[0])
        data: bytes = stash[0][0]
        del stash[0]
        return data

    def _keep_descriptors(self, whole: "Any") -> None:
        found = []
        for _, kind, data in whole[1]:
            if kind == 1:
                found += [
                    int.from_bytes(data[at : at + 4], sys.byteorder)
                    for at in range(0, len(data) - 3, 4)
                ]
        self.received.extend(found or [-1])  # cut off: no room for another open file

    def _claim_descriptor(self, place: "Any") -> int:
        fd: int = self.descriptors.pop(place[0])
        if fd < 0:
            raise OSError(24, "no room for another open file (limits.open-files)")
        return fd

    def _memory(self, size: int) -> "tuple[int, int]":
        if self._whole is None:
            self.take_descriptors()
            Peer.request(self, "buffer", 0)
        number, place = Peer.request(self, "buffer", size)
        return number, self._claim_descriptor([place])
