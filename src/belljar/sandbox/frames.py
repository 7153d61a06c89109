"""Events of a result from the frames that came: decoded only when somebody asks."""

from __future__ import annotations

from belljar._native import unskipped
from belljar.errors import GuestProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from belljar.model import Event


def decoded(chunks: Iterable[bytes]) -> tuple[Event, ...]:
    """The events in whole frames. What does not decode is left out: it is in the ledger as it came,
    and counted as malformed."""
    from belljar.events.decode import decode

    found: list[Event] = []
    for chunk in chunks:
        for offset, length in unskipped(chunk, frozenset()):
            try:
                found.append(decode(chunk[offset : offset + length]))
            except GuestProtocolError:
                continue
    return tuple(found)
