"""The append-only record that shows when it was changed. `docs/ledger.md` has the format.

Here is what writers need, cheap to import; readers take `belljar.ledger.reader` and
`belljar.ledger.entries`.
"""

from __future__ import annotations

from belljar.ledger.format import DECISIONS, END, EVENTS, MAX_PAYLOAD, START
from belljar.ledger.place import default_directory, resolve
from belljar.ledger.writer import Writer

__all__ = [
    "DECISIONS",
    "END",
    "EVENTS",
    "MAX_PAYLOAD",
    "START",
    "Writer",
    "default_directory",
    "resolve",
]
