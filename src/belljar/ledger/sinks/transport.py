"""What a way to a receiver can do, and how it fails. One module for each; they know no ledger."""

from __future__ import annotations

from importlib import import_module

from belljar.errors import BelljarError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Final, Protocol

    from belljar.ledger.sinks.config import Sink
    from belljar.ledger.sinks.fields import Item

    class Transport(Protocol):
        """A connection to a receiver, made when it is first needed.

        `overlap` is how many seconds before a broken connection are sent again, because what the
        receiver's kernel had is not yet what the receiver kept. `stopped` is asked while it waits.
        One that has a `settle` is called before a position is kept on the disk.
        """

        overlap: float
        stopped: Callable[[], bool]

        def send(self, items: Sequence[Item]) -> int:
            """Send all of `items`, wait until they are as safe as the protocol can tell, and say
            how many the receiver refused for good. Raises `Down`: none of them counts as sent.
            """

        def idle(self) -> None:
            """Called every second or so when nothing is to be sent. Raises `Down`."""

        def close(self) -> None:
            """Let go; `send` may connect again."""


class Down(BelljarError):
    """The receiver cannot be reached, or did not take it: to be tried again."""


class Gone(BelljarError):
    """The receiver will never come back (a descriptor without a reader)."""


_HOMES: Final = {
    "syslog": ("syslog", "Syslog"),
    "journald": ("journald", "Journal"),
    "audit": ("audit", "Audit"),
    "otlp": ("otlp", "Otlp"),
    "jsonl": ("jsonlines", "JsonLines"),
}


def connect(sink: Sink) -> Transport:
    """The transport of `sink`. Raises `Down` where something it needs is not installed."""
    module, name = _HOMES[sink.scheme.partition("+")[0]]
    made: Transport = getattr(import_module(f"belljar.ledger.sinks.{module}"), name)(sink)
    return made
