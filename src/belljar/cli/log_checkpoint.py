"""`belljar log checkpoint`: sign what is in the ledger now, in the foreground."""

from __future__ import annotations

import time

from belljar.cli.log_text import print_json, safe, with_directory
from belljar.errors import LedgerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Final

_PATIENCE: Final = 30.0  # seconds for a clerk that is at work already


def arguments(parser: ArgumentParser) -> None:
    """The command line."""
    with_directory(parser)


def act(options: Namespace) -> int:
    """0 when a checkpoint covers everything that was in the ledger when this began; else 1."""
    from belljar.ledger.reader import Reader
    from belljar.ledger.tree.clerk import Clerk

    with Reader(options.directory) as reader:
        reader.skip_to_last(0)
        wanted = reader.position - 1
    deadline = time.monotonic() + _PATIENCE
    while True:
        clerk = Clerk(options.directory)
        try:
            if clerk.start():
                clerk.once()
                notary = clerk.notary
                size, entries, epoch = notary.size, notary.entries, notary.epoch
                break
        except OSError as error:
            raise LedgerError(f"cannot sign in {options.directory}: {error.strerror}") from error
        if (found := _signed(options.directory, wanted)) is not None:
            size, entries, epoch = found
            break
        if time.monotonic() > deadline:
            raise LedgerError(
                f"the clerk of {options.directory} is at work and does not get on: "
                "see `belljar log verify`"
            )
    if options.json:
        print_json({"records": size, "entries": entries, "epoch": epoch})
    else:
        print(f"signed: {size} records, {entries} entries, in {safe(options.directory)}")
    return 0


def _signed(directory: str, wanted: int) -> tuple[int, int, int] | None:
    """Records, entries and epoch of the clerk's newest checkpoint, once it covers `wanted`."""
    from belljar.ledger.tree.checkpoint import NAME
    from belljar.ledger.tree.epochs import peek, read, unpacked
    from belljar.ledger.tree.note import MAX_NOTE
    from belljar.ledger.tree.tilefiles import TileReader

    data = read(directory, NAME, MAX_NOTE)
    if data is None:
        return None
    found = peek(data, NAME)
    entries = 0
    if found.size:
        first, count, *_rest = unpacked(TileReader(directory, found.size).leaf(found.size - 1))
        entries = first + count - 1
    return (found.size, entries, found.epoch or 0) if entries >= wanted else None
