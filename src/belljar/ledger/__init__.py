"""The append-only record that shows when it was changed. `docs/ledger.md` has the format.

Here is what writers need, cheap to import; readers take `belljar.ledger.reader` and
`belljar.ledger.entries`.
"""

from __future__ import annotations

from belljar.ledger.format import DECISIONS, END, EVENTS, MAX_PAYLOAD, START
from belljar.ledger.place import UNIX, default_directory, path_of, resolve
from belljar.ledger.writer import Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from belljar.ledger.collect.remote import RemoteWriter

__all__ = [
    "DECISIONS",
    "END",
    "EVENTS",
    "MAX_PAYLOAD",
    "START",
    "Writer",
    "default_directory",
    "open_writer",
    "path_of",
    "resolve",
]


def open_writer(place: str, sync: str = "batch") -> Writer | RemoteWriter:
    """What appends to the ledger at `place`, as `resolve` gives it: a directory or a collector.

    `sync` is for a directory, as in `Writer`: a collector has its own.
    A ledger whose end was cut off is told on standard error.
    Raises `LedgerError` when nothing could be recorded there.

    >>> open_writer("unix:/run/belljar/collect.sock")  # doctest: +SKIP
    <belljar.ledger.collect.remote.RemoteWriter object at 0x7f2b6c1d2e90>
    """
    if place.startswith(UNIX):
        from belljar.ledger.collect.remote import RemoteWriter

        return RemoteWriter(path_of(place))
    writer = Writer(place, sync=sync)
    if writer.missing:
        import sys

        what = f"{writer.missing} of its last entries were signed and are missing"
        print(f"belljar: warning: the ledger {place!a} was cut short: {what}; "
              "belljar log verify", file=sys.stderr)  # fmt: skip
    return writer
