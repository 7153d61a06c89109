def landlock_abi() -> int:
    """The kernel's Landlock ABI, 0 where it has none."""

def pack(value: object, limit: int = ...) -> bytes:
    """MessagePack of exact None, bool, int, float, str, bytes, list, tuple and dict (str keys).

    Raises `TypeError` for anything else, `OverflowError` for more than `limit` bytes (1 MiB), an
    int beyond 64 bits or nesting beyond 64, `UnicodeEncodeError` for lone surrogates.
    """

def record_value(value: object, room: int = ...) -> tuple[bytes, bool]:
    """What the recorder would write of `value` into `room` (1 to 4096) bytes; whether it cut."""

def scan_frames(
    data: bytes, last: dict[int, int]
) -> tuple[int, int, list[tuple[int, int]], list[tuple[int, int, int]]]:
    """Check whole frames at the head of `data`; see `docs/protocol.md`.

    Returns the bytes consumed, the frames counted, the places (offset, length) of frames that
    the host must decode (hello, bye, CHECK), and the gaps (pid, expected seq, seq found).
    `last` maps a pid to its last seq and is updated. Stops before what is no frame, and raises
    `ValueError` when that stands at the very beginning; `last` is then as it was.
    """
