"""`belljar.watching()`: what this very process does, as events, from here on.

The native recorder does it where it can be loaded, else a Python hook that is weaker and says so.
All that is needed later is imported before the first event is recorded, and from then on nothing
here raises one: what is seen is the program's.
"""

from __future__ import annotations

from _thread import allocate_lock

from belljar.errors import BelljarError, UsageError
from belljar.events.namespaces import alike
from belljar.watch.selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, Final, Protocol, Self

    from belljar.model import Event

    class Source(Protocol):
        """Where events come from: `watch.here.Native` or `watch.fallback.Weaker`."""

        weaker: str

        def take(self) -> tuple[Any, int, int]:
            """What came, in order, the bytes it holds, and how many events were lost so far."""

        def events(self, what: Any) -> list[Event]:
            """The events in what was taken; also after the end."""

        def release(self, size: int) -> None:
            """The bytes of events that nobody here holds any longer."""

        def close(self) -> None: ...


MOST_STACKS: Final = 32
LEAST_ROOM: Final = 4096


def watching(
    *,
    events: str | Sequence[str] = (),
    right: str | Sequence[str] = (),
    stacks: int = 0,
    room: int = 16 << 20,
) -> Watching:
    """Record what this process does while the `with` block is open: all threads, all interpreters.

    `events` are names or patterns with `*`, `right` are rights; an event must match one of each
    where they are given. `stacks` frames of the stack are kept in `Event.frames` (0 to 32). Events
    wait in at most `room` bytes of memory; what comes when they are full is counted in `drops`.
    Child processes are not seen: `belljar watch` sees those.

    Raises `UsageError` for an unknown event or right, naming the nearest, and for a number out of
    range; on entering, `BelljarError` where an audit hook refuses ours. A name with a dot may be
    an application's: it only warns, where one of CPython's is very near.

    >>> with watching(events="os.listdir") as events:
    ...     files = __import__("os").listdir("/")
    >>> [(event.right, event.target) for event in events]
    [('list', '/')]
    """
    selection = Selection(_several(events), _several(right))
    if not selection.everything and not _patterns(selection):
        raise UsageError("no event of these names can need one of these rights")
    for pattern in selection.patterns:
        if near := alike(pattern):
            import warnings

            text = f"{pattern!r} is taken for an application's event; near: {', '.join(near)}"
            warnings.warn(text, stacklevel=2)
    if not 0 <= stacks <= MOST_STACKS:
        raise UsageError(f"stacks must be 0 to {MOST_STACKS}, not {stacks}")
    if room < LEAST_ROOM:
        raise UsageError(f"room must be at least {LEAST_ROOM} bytes, not {room}")
    return Watching(selection, stacks, room)


class Watching:
    """What `watching()` gives: iterate over it, while it is open or later, as often as you like.

    `drops` counts events that found no room, `weaker` says what this recorder cannot see and is
    empty for the native one. It is true when there are events, and its `repr` shows the first.
    """

    def __init__(self, selection: Selection, stacks: int, room: int) -> None:
        self._selection = selection
        self._stacks = stacks
        self._room = room
        self._source: Source | None = None
        self._raw: list[Any] = []
        self._kept: list[Event] = []
        self._drops = self._size = 0
        self._open = False
        self._lock = allocate_lock()
        self.weaker = ""

    def __enter__(self) -> Self:
        if self._source is not None:
            raise BelljarError("a watching() is entered once; call watching() again")
        _prepare(self._selection)
        self._source = _source(_patterns(self._selection), self._room, self._stacks)
        self.weaker = self._source.weaker
        self._open = True
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._source is not None and self._open:
            self._pull()
            self._open = False
            self._source.close()

    def __iter__(self) -> Iterator[Event]:
        """Every event that has come so far and was not taken; never waits for more."""
        at = 0
        while True:
            if at >= len(self._kept):
                self._more()
            if at >= len(self._kept):
                return
            yield self._kept[at]
            at += 1

    def __len__(self) -> int:
        self._more()
        return len(self._kept)

    def __repr__(self) -> str:
        self._more()
        first = self._kept[:5]
        told = [f"{event.name} {event.target or event.asked or ''}".strip() for event in first]
        more = f" and {len(self._kept) - 5} more" if len(self._kept) > 5 else ""
        lost = f", {self._drops} lost" if self._drops else ""
        return f"<watching: {len(self._kept)} events{lost}: {told!r}{more}>"

    def take(self) -> list[Event]:
        """The events that have come so far, which then no longer count towards `room`."""
        self._more()
        with self._lock:
            taken, self._kept = self._kept, []
            size, self._size = self._size, 0
        if self._source is not None and self._open:
            self._source.release(size)
        return taken

    @property
    def drops(self) -> int:
        """How many events were lost because there was no room; `Event.seq` tells where."""
        self._pull()
        return self._drops

    def _pull(self) -> None:
        """Take what has come; it is decoded when someone looks."""
        with self._lock:
            if self._source is not None and self._open:
                what, size, self._drops = self._source.take()
                self._size += size
                if size:
                    self._raw.append(what)

    def _more(self) -> None:
        self._pull()
        with self._lock:
            raw, self._raw = self._raw, []
            if self._source is not None:
                for what in raw:
                    self._kept += filter(self._selection.shows, self._source.events(what))


class Native:
    """The recorder's library, loaded into this process."""

    weaker = ""

    def __init__(self, patterns: Sequence[str], room: int, stacks: int) -> None:
        from belljar._native import RECORDER, reader_close, reader_open, reader_take
        from belljar.events.decode import decode

        decode(_SAMPLE)  # imports what decoding needs
        self._decode: Callable[[bytes], Event] = decode
        self._reader_take = reader_take
        self._reader_close = reader_close
        self._released = 0
        wanted = b"".join(pattern.encode() + b"\0" for pattern in patterns)
        try:
            self._number = reader_open(RECORDER, wanted, room, stacks)
        except RuntimeError as error:
            raise BelljarError(f"cannot record this process: {error}") from None

    def take(self) -> tuple[bytes, int, int]:
        """Whole frames, their size, and how many were lost so far."""
        released, self._released = self._released, 0
        data, drops = self._reader_take(self._number, released)
        return data, len(data), drops

    def events(self, what: bytes) -> list[Event]:
        """The events in whole frames. Raises `GuestProtocolError` for what is none: the program
        wrote into our memory.
        """
        found = []
        at = 0
        while at < len(what):
            size = int.from_bytes(what[at + 2 : at + 4], "little")
            found.append(self._decode(what[at : at + max(size, 1)]))
            at += size
        return found

    def release(self, size: int) -> None:
        """The bytes of events that nobody here holds any longer."""
        self._released += size

    def close(self) -> None:
        """Stop recording; what was not taken is gone."""
        self._reader_close(self._number)


#: An event that nobody raises: number 1 of process 0, without arguments, by protocol version 1.
_SAMPLE: Final = (
    b"\x42\x4a\x2b\0\2\0\1\0" + bytes(8) + b"\1" + bytes(15) + b"\x94\xa6sample\x90\xc0\xc0"
)


def _prepare(selection: Selection) -> None:
    """Import what filtering needs later, so that nothing is imported while events are recorded."""
    from belljar.model import Event

    selection.shows(Event(1, 0, 0, 0, "sample", ()))
    selection.shows(Event(1, 0, 0, 0, "open", ("/", "r", 0)))


def _source(patterns: Sequence[str], room: int, stacks: int) -> Source:
    try:
        return Native(patterns, room, stacks)
    except (ImportError, OSError) as error:
        from belljar.watch.fallback import Weaker

        return Weaker(patterns, room, stacks, str(error))


def _patterns(selection: Selection) -> tuple[str, ...]:
    if selection.everything:
        return ("*",)
    return tuple(pattern for word, pattern in selection.lines() if word == "keep")


def _several(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
