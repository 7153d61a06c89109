"""Standard streams of a live guest that are functions of its owner's."""

from __future__ import annotations

import fcntl
import os
import select
import threading
from contextlib import contextmanager, suppress
from functools import partial

from belljar.errors import BelljarError
from belljar.sandbox.live.birth import with_input

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from belljar.model import Policy
    from belljar.sandbox.live.guest import Guest
    from belljar.sandbox.live.telling import Teller

_F_SETPIPE_SZ = 1031
#: So small that a pipe is full or empty: the guest sees that what one stream wrote is taken, and
#: only then writes to the other.
_ONE_PIECE = 1
_NAMES = ("stdin", "stdout", "stderr")


def _next(source: Callable[[], bytes | str]) -> bytes | str | None:
    """What `stdin()` gives; None at its end, however it says so."""
    try:
        return source()
    except StopIteration:
        return None


def check_plain(**callbacks: object) -> None:
    """Raise TypeError for a coroutine function: nobody would await it."""
    for name, one in callbacks.items():
        code = getattr(one, "__code__", None)
        if code is not None and code.co_flags & 0x80:  # inspect.CO_COROUTINE
            raise TypeError(f"{name}= is called, not awaited: give a plain function")


class Streaming:
    """The functions among the keywords `grants`, which are taken out of them.

    `given(policy, input)` is the policy to start with, `listen` says who hears output, `feed`
    starts to ask `stdin()` for text or bytes, until it returns nothing: that is the end of input.
    """

    def __init__(
        self, grants: dict[str, Any], on_output: Callable[[int, bytes], None] | None
    ) -> None:
        check_plain(on_output=on_output)
        found = {name: grants.pop(name) for name in _NAMES if callable(grants.get(name))}
        check_plain(**found)
        self._source: Callable[[], bytes | str] | None = found.get("stdin")
        self._heard = {n: found[name] for n, name in enumerate(_NAMES) if n and name in found}
        self._on_output = on_output
        self._feed = -1
        self._thread: threading.Thread | None = None
        self._asking = False

    @property
    def listens(self) -> bool:
        """Whether anybody wants output as it comes."""
        return self._on_output is not None or bool(self._heard)

    @contextmanager
    def given(self, policy: Policy, data: bytes | str | None) -> Iterator[Policy]:
        """`policy` with standard input as the keywords say. Raises `BelljarError` where two of them
        say it, and where a stream that is heard is not captured."""
        for number in self._heard:
            if getattr(policy, _NAMES[number]) != "capture":
                raise BelljarError(
                    f"{_NAMES[number]}= is a function, and the policy's is no capture"
                )
        if self._source is None:
            with with_input(policy, data) as lent:
                yield lent
            return
        if data is not None or policy.stdin != "null":
            raise BelljarError("input= and stdin= both say what standard input is: leave out one")
        end, self._feed = os.pipe()
        try:
            yield policy.replace(stdin=f"/proc/self/fd/{end}")
        except BaseException:
            self._close()
            raise
        finally:
            os.close(end)

    def listen(self, guest: Guest, teller: Teller) -> None:
        """Output goes to who wants it, in order, as it comes."""
        if not self.listens:
            return

        def heard(number: int, data: bytes) -> None:
            if self._on_output is not None:
                teller.tell(self._on_output, number, data)
            if number in self._heard:
                teller.tell(self._heard[number], data)

        guest.output.listen = heard
        for pipe in guest.output.pipes:
            with suppress(OSError):  # it holds something: then by arrival, at first
                fcntl.fcntl(pipe, _F_SETPIPE_SZ, _ONE_PIECE)

    def feed(self, guest: Guest) -> None:
        """From here on `stdin()` is asked, by a thread of this sandbox's."""
        if self._source is not None:
            work = partial(self._work, guest, self._source)
            self._thread = threading.Thread(target=work, name="belljar-input", daemon=True)
            guest.feeder = self._thread
            self._thread.start()

    def _work(self, guest: Guest, source: Callable[[], bytes | str]) -> None:
        try:
            os.set_blocking(self._feed, False)
            while not guest.over.is_set():
                self._asking = True
                piece = _next(source)
                self._asking = False
                if piece is None:
                    return
                if not isinstance(piece, bytes | bytearray | memoryview | str):
                    raise TypeError(f"stdin() gives text or bytes, not {type(piece).__name__}")
                if not piece or not self._pass_on(piece):
                    return
        except BaseException as error:  # noqa: BLE001 - the sandbox ends of it, not this thread
            guest.fails(error)
        finally:
            self._close()

    def _pass_on(self, piece: bytes | bytearray | memoryview | str) -> bool:
        """Write all of it; False where the guest reads no more."""
        left = memoryview(piece.encode() if isinstance(piece, str) else piece).cast("B")
        room = select.poll()
        room.register(self._feed, select.POLLOUT)
        while left:
            room.poll()  # its end wakes as well
            try:
                left = left[os.write(self._feed, left[: 1 << 16]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                return False
        return True

    def close(self) -> None:
        """The guest has ended. A `stdin()` that does not return is left where it is."""
        if self._thread is not None:
            if self._thread is not threading.current_thread() and not self._asking:
                self._thread.join(1)
        else:
            self._close()

    def _close(self) -> None:
        feed, self._feed = self._feed, -1
        if feed >= 0:
            os.close(feed)
