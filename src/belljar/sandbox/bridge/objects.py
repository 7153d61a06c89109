"""Host objects for one guest: the table of what it may use, and every call that comes from there.

Everything that a guest sends is a number and a name. The number finds a `Shared` of this sandbox
or nothing; the name finds a row of its table or nothing. Arguments are data, handles of what this
guest was given, or wrappers of its own functions that only speak the bridge.
"""

from __future__ import annotations

from _thread import allocate_lock
from collections import deque
from contextvars import ContextVar
from time import monotonic

from belljar.errors import BelljarError, GuestProtocolError
from belljar.model import Decision, Value
from belljar.sandbox.bridge.exposure import Exposure, Table, table_of, table_of_functions
from belljar.sandbox.bridge.failures import Refusal
from belljar.sandbox.bridge.files import Descriptor, is_open
from belljar.sandbox.bridge.guests import GuestObject, wrapper_of
from belljar.sandbox.bridge.handles import Exposed, Handle, LaterLife, Life, Shared, own_exposure
from belljar.sandbox.bridge.results import as_arguments
from belljar.sandbox.bridge.serving import Serving
from belljar.sandbox.guest import ops
from belljar.sandbox.guest.values import Malformed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Final, NoReturn

    from belljar.sandbox.bridge.exposure import Allow
    from belljar.sandbox.bridge.limits import Limit
    from belljar.sandbox.bridge.peer import Peer

_MANY: Final = 32  # references that are given back with one note
_NUMBERS: Final = (1 << 32) - 1  # never used again, so they end some day


_NOTHING: Final = Table({}, {}, False)


class ObjectLimits(Value):
    """How much one guest may hold: `shared` host objects, and `lent` functions of its own that the
    host keeps alive for it."""

    shared: int = 10_000
    lent: int = 10_000


class Objects:
    """What one guest may use of its host, and what it lent to it. Thread-safe.

    A sandbox makes one for its guest: `Objects(record)`, `attach(peer)` once there is a bridge,
    and gives the bridge `serve`, `refer` and `resolve`:

    - `serve(op, body, request)` answers the guest's operations `call`, `get` and `drop` (by name),
      and raises `Refusal` (all that the guest may be told) or `GuestProtocolError`;
    - `refer(obj)` is `(kind, number, data)` for a handle, `Exposed` or wrapper of this guest, else
      None; `resolve(kind, number, data)` is the handle or wrapper of a reference from the guest;
    - `arguments(args, kwargs)` is what a host's call passes: functions and generators among the
      arguments themselves are exposed, what is deeper has to be `Exposed` by hand;
    - `record(name, method, decision)` is called before every call that is made, and for every one
      that is refused; where it raises, nothing is called;
    - `loop` may be set to the event loop on which `async def` functions are to run, `operations`
      to what answers further operations of the guest's, by name (`box`);
    - `gone` may be set to what tells that the guest has ended: coroutines are then cancelled;
    - `asks(op, body, seconds)` may be set to what asks the guest about what it lent, `misspoke` to
      what is told that it answered otherwise than agreed, and raises;
    - `close()` when the guest has ended: all handles are revoked.
    """

    def __init__(
        self,
        record: Callable[[str, str, Decision], object] | None = None,
        limits: ObjectLimits | None = None,
    ) -> None:
        self._serving = Serving(self, record or (lambda _name, _method, _decision: None))
        self._limits = limits or ObjectLimits()
        self._lock = allocate_lock()
        self._names: dict[str, Shared] = {}
        self.shared: dict[int, Shared] = {}  # by number
        self._last = 0
        self._lent: set[int] = set()
        self._dropped: deque[int] = deque()
        self.peer: Peer | None = None
        self.inside: ContextVar[Any] = ContextVar("inside", default=None)
        self._closed = False
        self.loop: AbstractEventLoop | None = None
        self.under_way: set[object] = set()  # requests of the guest that others do a part of
        self.operations: dict[str, Callable[[object], object]] = {}
        self.gone: Callable[[], object] = lambda: self.peer is None
        self.asks: Callable[[str, object, float | None], Any] | None = None
        self.misspoke: Callable[[GuestProtocolError], NoReturn] = _raise

    def attach(self, peer: Peer) -> None:
        """The bridge by which wrappers of the guest's functions ask."""
        self.peer = peer

    def share(
        self,
        name: str,
        obj: Any = None,
        *,
        methods: Iterable[str] = (),
        attributes: Iterable[str] = (),
        functions: Any = None,
        allow: Mapping[str, Allow] | None = None,
        limits: Mapping[str, Limit] | None = None,
        returns: Mapping[str, Iterable[str] | Exposure] | None = None,
        messages: bool = False,
    ) -> Handle:
        """Let the guest use the listed methods and attributes of `obj`, or `functions` (a dict, a
        module, one function), as `host.<name>`. An open file or socket with nothing listed is
        handed over itself, with its mode. It may be called at any time, also before the guest runs.

        Raises `ValueError`, `TypeError` or `AttributeError` for what cannot be shared, and
        `BelljarError` for what cannot be handed over.
        """
        if type(name) is not str or not name.isidentifier() or name[0] == "_":
            raise ValueError(f"{name!r} is not a name for the guest")
        given = Exposure(methods, attributes, allow or {}, limits or {}, returns or {}, messages)
        if functions is not None:
            if obj is not None or attributes:
                raise TypeError("functions= stands alone: share the object under another name")
            obj, table = functions, table_of_functions(functions, given)
        elif not given.methods and not given.attributes and is_open(obj):
            held = obj = Descriptor(obj)
            table = table_of_functions({"open": lambda: self._hand_over(held)}, given)
        else:
            table = table_of(obj, own_exposure(obj, given))
        with self._lock:
            if self._closed:
                raise ReferenceError("the sandbox is closed")
            if name in self._names:
                raise ValueError(f"{name} is shared already: revoke it first")
            shared = self._names[name] = self._new(name, obj, table, Life())
        return Handle(self, shared)

    def share_again(self, others: Objects) -> None:
        """Share under the same names what `others`, of the guest that this one branched from,
        share: with the same limits, counted together. What is taken back there is taken back here.
        A descriptor is not among them: it is not handed over twice."""
        with others._lock:
            found = [one for one in others._names.values() if not one.life.over]
        with self._lock:
            for one in found:
                if type(one.obj) is not Descriptor:
                    life = LaterLife(one.life)
                    self._names[one.name] = self._new(one.name, one.obj, one.table, life)

    def handles(self) -> dict[str, Handle]:
        """Handles of what is shared, by name."""
        with self._lock:
            return {name: Handle(self, one) for name, one in self._names.items()}

    def revoke(self, shared: Shared) -> None:
        """Take back a share and all that came of it. It keeps its number, which now finds nothing
        that can be called. Raises `BelljarError` for a descriptor that the guest has already."""
        with self._lock:
            shared.life.over = shared.life.taken = True
            if self._names.get(shared.name) is shared:
                del self._names[shared.name]
            gone = [one for one in self.shared.values() if one.life is shared.life]
            for one in gone:
                if one.sent == 0:
                    del self.shared[one.number]
        given = type(shared.obj) is Descriptor and shared.obj.given
        _end(gone)
        for one in gone:  # a guest that keeps the reference keeps nothing alive
            one.obj, one.table = None, _NOTHING
        if given:
            raise BelljarError(f"{shared.name} was handed over: the guest has it for good")

    def _hand_over(self, held: Descriptor) -> object:
        """Send a descriptor ahead of the answer, which is its place among those sent."""
        peer = self.peer
        if peer is None or held.fd < 0:
            raise Refusal("ReferenceError", "it was taken back")
        held.given = True
        return peer.send_descriptors([held.fd])[0]

    def narrow(self, shared: Shared, less: Callable[[Table], Table]) -> None:
        """Put a smaller table in the place of the one that `less` is given."""
        with self._lock:
            shared.table = less(shared.table)

    def close(self) -> None:
        """The guest has ended: nothing is shared any more, and nothing was lent."""
        with self._lock:
            self._closed = True
            gone, self.shared = [*self.shared.values()], {}
            for shared in gone:
                shared.life.over = True
            self._names.clear()
            self._lent.clear()
            self._dropped.clear()
            self.peer = None
        _end(gone)

    # --- what the guest asks ---

    def serve(self, op: str, body: object, request: object = None) -> object:
        """The answer to one operation of the guest: see the class."""
        if self._dropped and len(self._dropped) >= _MANY:
            self._give_back()
        if op == "call":
            return self._under_way(self._serving.call, body)
        if op == "get":
            return self._under_way(self._serving.get, body)
        if op == "drop":
            self._drop(body)
            return None
        if op in self.operations:
            return self.operations[op](body)
        raise GuestProtocolError("an operation that is not about objects")

    def _under_way(self, serve: Callable[[object], object], body: object) -> object:
        """`serve(body)`, in a context that says, in whatever thread or task it goes on, which of
        the guest's requests it belongs to."""
        inside = self.peer.inside() if self.peer is not None else None
        if inside is None:
            return serve(body)
        self.under_way.add(inside)
        token = self.inside.set(inside)
        try:
            return serve(body)
        finally:
            self.inside.reset(token)
            self.under_way.discard(inside)

    def named(self, name: str) -> object:
        """`host.<name>` for the guest; with no name, all names."""
        if not name:
            return tuple(self._names)
        shared = self._names.get(name)
        if shared is None:
            raise Refusal("AttributeError", f"host.{name[:200]}: nothing is shared by this name")
        return Handle(self, shared)

    def _drop(self, body: object) -> None:
        """Pairs of a number and how many references to it the guest no longer has."""
        if type(body) is not tuple or len(body) % 2:
            raise GuestProtocolError("a drop is pairs of numbers")
        gone = []
        with self._lock:
            for number, count in zip(body[::2], body[1::2], strict=True):
                if type(number) is not int or type(count) is not int:
                    raise GuestProtocolError("a drop is pairs of numbers")
                shared = self.shared.get(number)
                if shared is None or not 0 < count <= shared.sent:
                    raise GuestProtocolError("the guest drops what it does not have")
                shared.sent -= count
                if shared.sent == 0 and self._names.get(shared.name) is not shared:
                    gone.append(self.shared.pop(number))
        _end(gone)

    # --- references ---

    def _new(self, name: str, obj: Any, table: Table, life: Life) -> Shared:
        if len(self.shared) >= self._limits.shared or self._last >= _NUMBERS:
            raise Refusal("MemoryError", "the guest holds as many host objects as it may")
        self._last += 1
        shared = self.shared[self._last] = Shared(self._last, name, obj, table, life)
        return shared

    def _derive(self, exposed: Exposed) -> Shared:
        """What a method gave out, or a host's call passes."""
        with self._lock:
            return self._new(exposed.name, exposed.object, exposed.table, exposed.life)

    def refer(self, obj: object) -> tuple[int, int, object] | None:
        """The reference by which `obj` crosses to the guest; None for what may not."""
        if type(obj) is Exposed:
            shared = self._derive(obj)
        elif type(obj) is Handle and obj._objects is self:
            shared = obj._shared
        elif isinstance(obj, GuestObject) and obj._objects is self and obj._number:
            return ops.GUEST_OBJECT, obj._number, None
        else:
            return None
        with self._lock:
            if self.shared.get(shared.number) is not shared:
                return None  # revoked, and forgotten by the guest
            shared.sent += 1
        table = shared.table
        form = shared.obj.form if type(shared.obj) is Descriptor else ""
        about = (shared.name, tuple(table.methods), tuple(table.attributes), form)
        return ops.HOST_OBJECT, shared.number, about

    def resolve(self, kind: int, number: int, data: object = None) -> object:
        """What a reference from the guest means here. Raises `Malformed`."""
        if kind == ops.HOST_OBJECT:
            shared = self.shared.get(number)
            if shared is None or shared.sent == 0:
                raise Malformed("the guest refers to what it was not given")
            return Handle(self, shared)
        if kind == ops.GUEST_OBJECT:
            with self._lock:
                if number in self._lent or number == 0:
                    raise Malformed("the guest lends a number twice")
                if len(self._lent) >= self._limits.lent:
                    raise Malformed("the guest lends more than it may")
                self._lent.add(number)
            return wrapper_of(self, number, data)
        raise Malformed("a reference of no known kind")

    def forget(self, number: int) -> None:
        """A wrapper is gone. Called by the garbage collector, in any thread: only noted."""
        self._dropped.append(number)

    def _give_back(self) -> None:
        numbers = []
        while self._dropped:
            numbers.append(self._dropped.popleft())
        with self._lock:
            self._lent.difference_update(numbers)
        if self.peer is not None and numbers:
            self.peer.note("drop", tuple(numbers))

    # --- what the host asks of what it was lent ---

    def arguments(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments of a call from the host: see the class."""
        return as_arguments(args, kwargs)

    def ask(self, op: str, body: object, deadline: float | None) -> Any:
        """One request about something lent. Raises `ReferenceError` when the guest has ended."""
        peer = self.peer
        if peer is None:
            raise ReferenceError("the guest that lent it has ended")
        if len(self._dropped) >= _MANY:
            self._give_back()
        if self.asks is not None:
            return self.asks(op, body, deadline)
        until = None if deadline is None else monotonic() + deadline
        return peer.request_for(self.part_of(), op, body, until)

    def part_of(self) -> tuple[int, int] | None:
        """The guest's request that this thread or task does a part of, while the guest waits for
        it: what is asked of the guest meanwhile has to be asked inside it (`Peer.request_for`)."""
        inside: tuple[int, int] | None = self.inside.get()
        return inside if inside in self.under_way else None

    def part_of_one(self, threads: list[int]) -> tuple[int, int] | None:
        """The same for a thread that the last of `threads` which serves the guest waits for."""
        peer = self.peer
        served = [peer.inside(thread) for thread in threads] if peer is not None else []
        inside = ([None, *filter(None, served)]).pop()
        return inside if inside in self.under_way else None


def _raise(error: GuestProtocolError) -> NoReturn:
    raise error


def _end(gone: list[Shared]) -> None:
    """End what is not to outlive its share. Called without the lock: it may take its time."""
    for shared in gone:
        if getattr(type(shared.obj), "ends_with_its_share", False):
            shared.obj.close()
