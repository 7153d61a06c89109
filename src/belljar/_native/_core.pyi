def landlock_abi() -> int:
    """The kernel's Landlock ABI, 0 where it has none."""

def pack(value: object, limit: int = ...) -> bytes:
    """MessagePack of exact None, bool, int, float, str, bytes, list, tuple and dict."""

def scan_frames(
    data: bytes, last: dict[int, int]
) -> tuple[int, int, list[tuple[int, int]], list[tuple[int, int, int]]]:
    """Check frames at the head of `data`; see `docs/protocol.md`."""
