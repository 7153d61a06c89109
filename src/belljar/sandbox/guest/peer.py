"""The guest's end of the bridge: asks the host, serves what the host asks.

Any thread may ask; whoever waits reads, and hands over what is another's. What the host asks inside
a request is served by the thread that waits for it, everything else by the main thread. A signal's
handler that raises breaks a call and not the bridge: see `incoming`. Part of the live guest's first
lines; runs on any CPython from 3.8. Protocol: docs/bridge.md.
"""

import builtins
import posix
import sys
from _struct import Struct
from _thread import allocate_lock, get_ident
from collections import deque

if "FROM_HOST" not in globals():  # in the guest, all parts are one file
    from belljar.sandbox.guest.incoming import (
        _HEAD,
        _first,
        _Frame,
        _Input,
        _Waiter,
        _write_whole,
    )  # fmt: skip
    from belljar.sandbox.guest.ops import (
        DESCRIPTORS,
        FRAME,
        FROM_HOST,
        GUEST_ASKS,
        GUEST_NOTES,
        MESSAGE_OF_ERROR,
        NAME_OF_ERROR,
        NESTED,
        NOTE,
        NOTES_FROM_HOST,
        OUTSTANDING,
        RAISED,
        REPLY,
        REQUEST,
        TEXT_OF_ERROR,
    )  # fmt: skip
    from belljar.sandbox.guest.placing import placed
    from belljar.sandbox.guest.reading import loads
    from belljar.sandbox.guest.values import ROOM, Unsendable, dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_HEAD_OP = Struct("<IBIIB")


class HostError(Exception):
    """What the host refused, or a host function raised: `type_name` and a message."""

    __module__ = "belljar.guest"

    def __init__(self, type_name: str, message: str) -> None:
        super().__init__(message)
        self.type_name = type_name

    def __str__(self) -> str:
        message: str = self.args[0]
        return message if self.type_name == "HostError" else "%s: %s" % (self.type_name, message)


class Peer:
    """`serve(op, body, request)` answers the host's requests; what it raises becomes a RAISED
    frame by `report(error) -> (type name, message, traceback text)`.

    `refer` and `resolve` are those of the codec. `receive(n)` reads at most n bytes.
    """

    def __init__(
        self,
        fd: int,
        serve: "Callable[[str, Any, Any], Any]",
        report: "Callable[[BaseException], tuple[str, str, str]] | None" = None,
        refer: "Any" = None,
        resolve: "Any" = None,
        receive: "Callable[[int], bytes] | None" = None,
    ) -> None:
        self._serve = serve
        self._report = report or _report
        self._refer = refer
        self._resolve = resolve
        self._receive: "Any" = receive
        self._input = _Input()
        self._last = 0
        self._waiters: "dict[int, _Waiter]" = {}
        self._serving: "dict[int, list[tuple[int, int]]]" = {}
        self._inbox: "deque[_Frame]" = deque()  # for the main thread
        self._main = 0
        self._mains: "list[_Waiter]" = []  # of the main thread: the last one waits
        self._outside: "set[int]" = set()  # without an answer, and inside none of the host's
        self._queue: "deque[Any]" = deque()  # of threads that wait until there are fewer
        self._lost = ""
        self.longest, self.room = FRAME, ROOM  # what the host takes, if it told so
        self.received: "deque[int]" = deque()  # descriptors, as `receive` finds them
        self.descriptors: "dict[int, int]" = {}  # number -> descriptor
        self._fresh_locks()
        if fd >= 0:
            self.attach(fd)

    def attach(self, fd: int) -> None:
        """Take the bridge: for a peer that a template made, with -1, for its guests."""
        self._fd = fd
        if self._receive is None:
            self._receive = lambda n: posix.read(fd, n)
        posix.set_inheritable(fd, False)
        posix.register_at_fork(after_in_child=self._forked)

    def _fresh_locks(self) -> None:
        self._sending = allocate_lock()
        self._reading = allocate_lock()

    def _forked(self) -> None:
        if not self._lost:
            self._lost = _FORKED
            self._fresh_locks()
            ends = posix.pipe()  # a closed number would soon be another file's
            posix.dup2(ends[1], self._fd, False)
            posix.close(ends[0])
            posix.close(ends[1])

    # --- asking --------------------------------------------------------------------------

    def request(self, op: str, body: object) -> "Any":
        """What the host answers. Raises what the host raised, Unsendable, ConnectionError when
        the bridge is gone, and RecursionError from 32 requests in one another."""
        number = GUEST_ASKS[op]
        data = self._fitting(body, "@" + op)
        thread = get_ident()
        stack = self._serving.get(thread)
        parent, depth = stack[-1] if stack else (0, 0)
        if depth >= NESTED:
            raise RecursionError("host and guest call one another %d deep" % NESTED)
        waiter = _Waiter(thread == self._main)
        sent: "list[int]" = []
        try:
            if waiter.main:
                self._mains.append(waiter)
            while True:
                held: "list[bool]" = []
                lock = self._sending
                try:
                    held.extend(map(lock.acquire, _WAIT))  # as in `_send`
                    if self._lost:
                        raise ConnectionError(self._lost)
                    if parent or len(self._outside) < OUTSTANDING:
                        mine = self._last = waiter.number = self._last % 0xFFFFFFFF + 1
                        self._waiters[mine] = waiter
                        if not parent:
                            self._outside.add(mine)
                        head = _HEAD_OP.pack(1 + len(data), REQUEST, mine, parent, number)
                        self._write(head + data, sent)
                        break
                    turn = allocate_lock()
                    turn.acquire()
                    self._queue.append(turn)
                finally:
                    if held:
                        lock.release()
                turn.acquire()
            while True:
                frame = self._wait(waiter)
                if frame.kind in (REQUEST, NOTE):
                    self._answer(frame, depth + 1)
                    continue
                value = loads(frame.data, self._resolve, 1 << 62, frame.at)
                if frame.kind == REPLY:
                    return value
                raise _error_here(value[0], value[1])
        finally:
            self._leave(waiter, sent)

    def _leave(self, waiter: "_Waiter", sent: "list[int]") -> None:
        """A request is over, or given up: then its answer will be nobody's."""
        try:
            self._waiters.pop(waiter.number, None)
            if waiter.main and waiter in self._mains:
                self._mains.remove(waiter)
        finally:
            try:
                if not sent:
                    self._outside.discard(waiter.number)
                for frame in waiter.frames:
                    if frame.kind == REQUEST and not frame.taken:
                        self._refuse(frame)
            finally:
                self._hand_over()

    def note(self, op: str, body: object) -> None:
        """Tell the host; there is no answer."""
        data = self._fitting(body)
        self._send(_HEAD_OP.pack(1 + len(data), NOTE, 0, 0, GUEST_NOTES[op]) + data, [])

    def _fitting(self, value: object, op: str = "") -> bytes:
        try:
            data = dumps(value, self._refer, self.room)
        except Unsendable as error:
            raise placed(error, op, value) from None
        if len(data) >= self.longest:
            raise Unsendable("a value of %d bytes is longer than a frame" % len(data))
        return data

    def _send(self, data: bytes, sent: "list[int]", once: bool = False) -> None:
        """Write when it is this thread's turn, unless the host is gone; `once` only what was not
        `sent` yet. No `with`: from CPython 3.14 on a handler may raise in it between the lock
        that is taken and the block that gives it back."""
        held: "list[bool]" = []
        lock = self._sending  # a handler that forks has other ones in the child
        try:
            held.extend(map(lock.acquire, _WAIT))  # taken and noted within one call
            if not self._lost and not (once and sent):
                self._write(data, sent)
        finally:
            if held:
                lock.release()

    def _write(self, data: bytes, sent: "list[int]") -> None:
        try:
            _write_whole(self._fd, data, sent)
        except EOFError:
            self._lost = "the host is gone"
            raise ConnectionError(self._lost) from None

    # --- serving -------------------------------------------------------------------------

    def loop(self) -> None:
        """Serve the host in this thread until it goes. In a forked child whose part of the program
        is done it ends like a program."""
        self._main = get_ident()
        waiter = _Waiter(True)
        self._mains.append(waiter)
        while True:
            try:
                frame = self._wait(waiter)
                self._answer(frame, 0)
            except BaseException:
                if not self._lost:  # of a signal's handler, in nobody's call
                    sys.excepthook(*sys.exc_info())
                elif self._lost != _FORKED:
                    self._hand_over()  # other threads learn it, too
                    return
                else:
                    raise
            if self._lost == _FORKED:
                raise SystemExit(0)

    def _answer(self, frame: "_Frame", depth: int) -> None:
        """Deal with a request or a note of the host's; a request gets one answer, come what may."""
        table = FROM_HOST if frame.kind == REQUEST else NOTES_FROM_HOST
        try:
            frame.taken = True
            op = table[frame.data[frame.at]][0]
            if frame.kind == NOTE:
                body = loads(frame.data, self._resolve, 1 << 62, frame.at + 1)
                self._serve(op, body, self.request)
                return
            stack = self._serving.setdefault(get_ident(), [])
            base = len(stack)
            try:
                stack.append((frame.number, (depth if frame.parent else 0) + 1))
                body = loads(frame.data, self._resolve, 1 << 62, frame.at + 1)
                answer, how = self._fitting(self._serve(op, body, self.request), "=" + op), REPLY
            except BaseException as error:
                if self._lost:
                    raise  # a forked child, or the host is gone
                answer, how = dumps(_cut_report(self._report(error))), RAISED
            finally:
                del stack[base:]
            self._send(_HEAD.pack(len(answer), how, frame.number, 0) + answer, frame.sent)
        finally:
            if frame.kind == REQUEST and not frame.sent:
                self._refuse(frame)

    def _refuse(self, frame: "_Frame") -> None:
        """Answer a request inside one that was given up, or whose answer was broken off."""
        frame.taken = True
        answer = dumps(("RuntimeError", "the guest's call was broken off", ""))
        head = _HEAD.pack(len(answer), RAISED, frame.number, 0)
        self._send(head + answer, frame.sent, once=True)

    # --- frames --------------------------------------------------------------------------

    def _wait(self, waiter: "_Waiter") -> "_Frame":
        """The next frame for `waiter`; it stays where it is until it is taken."""
        held: "list[bool]" = []
        while True:
            frame = self._due(waiter)
            if frame is not None:
                waiter.blocked = False
                if not held:  # it may be this one whom the last reader woke to read
                    self._hand_over()
                return frame
            if self._lost:
                raise ConnectionError(self._lost)
            held = []
            try:
                # taken and noted within one call
                held.extend(filter(None, map(self._reading.acquire, (False,))))
                if held:
                    waiter.blocked = False
                    if self._due(waiter) is None:
                        self._route(self._input.next(self._receive))
                elif waiter.blocked:
                    waiter.block()
                else:
                    waiter.ready_to_block()  # and once more: whoever reads may just have left
            except EOFError:
                self._lost = "the host is gone"
            finally:
                if held:
                    self._reading.release()
                    self._hand_over()

    def _due(self, waiter: "_Waiter") -> "_Frame | None":
        frame = _first(waiter.frames) if waiter.frames else None
        if frame is None and waiter.main and self._inbox:
            frame = _first(self._inbox)
        return frame

    def _hand_over(self) -> None:
        """Wake one thread that could read."""
        if self._mains and self._mains[-1].blocked:
            self._mains[-1].wake()
            return
        for waiter in list(self._waiters.values()):
            if waiter.blocked:
                waiter.wake()
                return

    def _route(self, frame: "_Frame") -> None:
        """Give a frame to whom it concerns. Twice the same does not matter."""
        owner = None
        if frame.kind in (REPLY, RAISED):
            owner = self._waiters.get(frame.number)
            if frame.number in self._outside:
                self._outside.discard(frame.number)
                if self._queue:
                    self._queue.popleft().release()
        elif frame.kind == DESCRIPTORS:
            for n in loads(frame.data, None, 1 << 62, frame.at):
                if n not in self.descriptors:
                    self.descriptors.update(zip((n,), map(_POP, (self.received,))))  # noqa: B905
        elif frame.parent:
            owner = self._waiters.get(frame.parent)
            if owner is None:
                self._refuse(frame)
        else:
            if not self._inbox or self._inbox[-1] is not frame:
                self._inbox.append(frame)
            if self._mains and self._mains[-1].blocked:
                self._mains[-1].wake()
        if owner is not None:
            if not owner.frames or owner.frames[-1] is not frame:
                owner.frames.append(frame)
            if owner.blocked:
                owner.wake()
        self._input.delivered()


_FORKED = "a forked process has no bridge to the host"
_POP = deque.popleft
_WAIT = (True,)


def _report(error: BaseException) -> "tuple[str, str, str]":
    try:
        message = str(error)
    except BaseException:
        message = ""
    return type(error).__name__, message, ""


def _cut_report(told: "tuple[str, str, str]") -> "tuple[str, str, str]":
    name, message, text = told
    return name[:NAME_OF_ERROR], message[:MESSAGE_OF_ERROR], text[-TEXT_OF_ERROR:]


def _error_here(name: str, message: str) -> Exception:
    """The built-in exception of that name, else a HostError."""
    kind = getattr(builtins, name, None)
    if type(kind) is type and issubclass(kind, Exception):
        try:
            return kind(message)
        except TypeError:  # it wants more, such as UnicodeError
            pass
    return HostError(name, message)
