"""`python -m belljar.ledger.sinks --clerk DIR`: what the clerk starts; it ends after its standard
input did. `--one ID DIR` feeds one sink that writes to a descriptor, until its run has ended."""

from __future__ import annotations

import os
import select
import sys
import time

from belljar.errors import LedgerError
from belljar.ledger.sinks.forward import LINGER, Feeds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, NoReturn

_LOOK: Final = 1.0
_NICE: Final = 5


def main(argv: list[str]) -> int:
    """Feed until told otherwise; 0, or 1 where another process does or there is no ledger."""
    os.nice(_NICE)
    only = argv[1:2] if argv[0] == "--one" else []
    try:
        feeds = _alone(argv[-1], only)
    except (LedgerError, OSError):
        return 1  # the clerk says so, and tries again
    _quiet()
    last = 0.0
    try:
        if only:
            _one(feeds, os.getppid())
            feeds.forget()
            return 0
        while True:
            try:
                feeds.look()
            except LedgerError:
                return 1  # the ledger is gone
            if not last and select.select([0], [], [], _LOOK)[0] and not os.read(0, 1):
                last = time.monotonic() + LINGER
            if last:
                time.sleep(0.1)
                if feeds.done or time.monotonic() > last:
                    return 0
    finally:
        feeds.close()


def _alone(directory: str, only: list[str]) -> Feeds:
    """The feeds, once a process before this one has finished."""
    while True:
        try:
            return Feeds(directory, only)
        except BlockingIOError:
            if only or (select.select([0], [], [], _LOOK)[0] and not os.read(0, 1)):
                raise


def _one(feeds: Feeds, parent: int) -> None:
    """Until the END of its run was sent; or, where it was killed and has none, all there is."""
    feeds.look()
    last = 0.0
    while not feeds.over:
        time.sleep(0.05)
        if not last and os.getppid() != parent:
            last = time.monotonic() + LINGER
        if last and (feeds.done or time.monotonic() > last):
            time.sleep(_LOOK)  # what it wrote last
            if feeds.done:
                return


def _quiet() -> None:
    """Libraries complain where nobody reads; what failed is in the sink's position."""
    import logging

    logging.disable(logging.CRITICAL)


def leave(argv: list[str]) -> NoReturn:
    """`main`, and the end of this process: a thread may wait for a receiver, nobody for it."""
    os._exit(main(argv))


if __name__ == "__main__":
    leave(sys.argv[1:])
