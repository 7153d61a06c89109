from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any

def answer(file: int, slot: int, seq: int, verdict: int) -> bool:
    """Answer the event `seq` that asked for it through `slot`, and wake the process: 1 allow,
    2 deny, 3 kill. `file` is the descriptor of the answers file. False where it cannot be written.

    Raises `ValueError` for a slot or verdict that cannot be.
    """

def confine_apply(words: bytes, all_threads: bool) -> None:
    """Put the walls of a plan around this very process, for good; `all_threads` has Landlock take
    them all at once (ABI 8). Ends the process with status 125 where a wall fails half way.

    Raises `OSError` (number, text, step, detail) for what fails before; nothing is changed then.
    """

def confine_try(words: bytes, report: int, light: bool) -> int:
    """Let a copy of this process do it and try what is forbidden, before and after; the lines
    `outside NAME errno`, `inside NAME errno`, `error STEP errno DETAIL` and, last, `done` go to
    the descriptor `report`. Returns the copy's pid; raises as `confine_apply`. A `light` copy takes
    no large memory along to its own children, which is fast and may be too little.
    """

def is_alone() -> int:
    """1 where this is the process's only thread, 0 where there are others, -1 where nobody says.
    Asks the kernel without procfs."""

def landlock_abi() -> int:
    """The kernel's Landlock ABI, 0 where it has none."""

def open_window(library: str, table: bytes) -> None:
    """Judge the files that Python code of this process names, by the lines `rights TAB path` of
    `table`, for good; a second table is not taken. Raises `OSError`, or what an audit hook raised.
    """

def pack(value: object, limit: int = ...) -> bytes:
    """MessagePack of exact None, bool, int, float, str, bytes, list, tuple and dict (str keys).

    Raises `TypeError` for anything else, `OverflowError` for more than `limit` bytes (1 MiB), an
    int beyond 64 bits or nesting beyond 64, `UnicodeEncodeError` for lone surrogates.
    """

def reader_close(reader: int) -> None:
    """End a reader; what it has not taken is gone. Closing again does nothing."""

def reader_open(library: str, patterns: bytes, limit: int, stacks: int) -> int:
    """Record this process from here on into at most `limit` bytes of its own memory.

    `library` is the recorder's path, `patterns` are names of events with `*`, each ended by NUL;
    of the stack `stacks` frames are kept (0 to 32). Returns the reader's number.
    Raises `OSError` where the recorder cannot work in this process, `RuntimeError` where an audit
    hook refused it without a word, and what that hook raised where it did not.
    """

def reader_take(reader: int, released: int) -> tuple[bytes, int]:
    """The whole frames that came since the last time, and how many events found no room so far.

    What was taken counts towards the limit until as many bytes are `released`.
    Raises `ValueError` for a reader that is closed.
    """

def record_value(value: object, room: int = ...) -> tuple[bytes, bool]:
    """What the recorder would write of `value` into `room` (1 to 4096) bytes; whether it cut."""

def scan_frames(data: bytes, last: dict[int, int], only: int = 0) -> Any:
    """Check whole frames at the head of `data`; see `docs/protocol.md`.

    Returns the bytes consumed, the frames counted, the places (offset, length) of frames that
    the host must decode (all but events without CHECK), and the gaps (pid, expected seq, seq
    found). `last` maps a pid to its last seq and is updated. Stops before what is no frame, and
    raises `ValueError` when that stands at the very beginning; `last` is then as it was.

    With `only`, frames of any other process are passed over, and two more values come: how many,
    and the bytes without them, in which the places are.
    """

def unchanged(top: bytes, text: bytes) -> bool:
    """Whether every file has the time that `text` tells: lines of nanoseconds since 1970, a space
    and a path, relative ones from `top`.

    >>> unchanged(b"/", b"0 no/such/file" + bytes((10,)))
    False
    """

def unpack(
    data: bytes, extension: Callable[[int, bytes], object], depth: int, items: int, /
) -> object:
    """The one value in `data`, MessagePack as the recorder writes it: None, bool, int, float, str,
    bytes, a tuple of them, or what `extension` makes of the code and bytes of an extension.

    Raises `ValueError` for everything else: maps, arrays deeper than `depth` (64 at most) or longer
    than `items`, text that is not UTF-8, bytes left over; and what `extension` raises.
    """

def unskipped(data: bytes, skip: AbstractSet[bytes]) -> list[tuple[int, int]]:
    """The places (offset, length) of the events in `data` whose name is not in `skip`.

    `data` are whole frames; ends at the first that is none. An event whose name is no plain text
    is never skipped.
    """
