"""`belljar log verify`: prove the ledger whole, or name the first record or file that is not."""

from __future__ import annotations

import os
import stat
import time

from belljar.cli.log_text import print_json, safe, when, with_directory
from belljar.errors import LedgerCorrupt, LedgerError
from belljar.report.text import many

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any, Final

    from belljar.ledger.proof.whole import Whole
    from belljar.ledger.tree.note import VerifierKey

_MOST_RUNS: Final = 20
_TRUST: Final = {
    "given": "the keys that were given",
    "noted": "the keys noted when it was made",
    "own": "the keys in its own keys/public, which nothing outside confirms (--key FILE)",
}


def arguments(parser: ArgumentParser) -> None:
    """The command line."""
    with_directory(parser)
    parser.add_argument("--pin", metavar="FILE", help="a checkpoint kept elsewhere: not older")
    parser.add_argument(
        "--write-pin", metavar="FILE", help="keep the checkpoint there, if all is right"
    )
    parser.add_argument(
        "--key", metavar="FILE", help="its fixed and first epoch's vkeys: trust these"
    )
    parser.add_argument(
        "--witness", metavar="FILE", action="append", default=[], help="vkeys of witnesses"
    )


def act(options: Namespace) -> int:
    """0 whole, 1 not. A torn end, which only says that a writer was killed, is still 0."""
    from belljar.ledger.proof.whole import examine

    trusted = _keys(options.key) if options.key else None
    witnesses = [key for file in options.witness for key in _keys(file)]
    pin = _read(options.pin) if options.pin else None
    try:
        found = examine(options.directory, trusted=trusted, pin=pin, witnesses=witnesses)
    except LedgerCorrupt as error:
        if options.json:
            print_json({"whole": False, "error": str(error), "offset": error.offset})
        else:
            print(f"broken: {safe(str(error))}")
        return 1
    if options.write_pin:
        _write_pin(options.write_pin, found)
    if options.json:
        print_json(_plain(found, options.directory))
    else:
        _tell(found, options)
    return 0


def _plain(found: Whole, directory: str) -> dict[str, Any]:
    from belljar.ledger.entries import plain
    from belljar.ledger.tree.clerk import state

    report = found.report
    fields = {name: getattr(report, name) for name in report.__fields__}
    fields["unfinished"] = [run.hex() for run in report.unfinished]
    fields["again"] = [run.hex() for run in report.again]
    fields["head"] = report.head.hex()
    last = found.checkpoint
    fields |= {
        "signed": found.signed,
        "unsigned": found.unsigned,
        "checkpoint": last and {"origin": last.origin, "size": last.size, "root": last.root.hex(),
                                "time": last.time, "epoch": last.epoch},
        "epochs": found.ended,
        "trust": found.trust,
        "pinned": found.pinned,
        "witnesses": [
            {"name": name, "size": size, "time": at * 10**9} for name, size, at in found.witnessed
        ],
        "gone": list(found.gone),
        "unread": list(found.unread),
        "missed": found.missed,
        "locked": found.locked,
        "clerk": _trouble(state(directory)),
    }  # fmt: skip
    return {"whole": True, **plain(fields)}


def _tell(found: Whole, options: Namespace) -> None:
    from belljar.ledger.tree.clerk import state

    report = found.report
    entries = many(report.entries, "entry", "entries")
    print(f"whole: {many(report.records, 'record')}, {entries}, {many(report.runs, 'run')}")
    if report.pruned:
        print(f"pruned: entries 1 to {report.pruned}; their place in the tree is still proved")
    last = found.checkpoint
    if last is not None:
        ago = max(0.0, time.time() - (last.time or 0) / 1e9)
        print(
            f"signed: {many(found.signed, 'record')}, by {safe(last.origin)} "
            f"at {when(last.time or 0)} ({_ago(ago)} ago), "
            f"{many(found.ended, 'epoch')} ended; by {_TRUST[found.trust]}"
        )
    if found.unsigned or last is None:
        made = "" if last is not None else "; no checkpoint yet: `belljar log checkpoint` makes one"
        print(f"unsigned: {many(found.unsigned, 'record')}{made}")
    if trouble := _trouble(state(options.directory)):
        print(f"clerk: {safe(trouble)}")
    if found.missed:
        print(
            f"missed: the clerk said that it had signed {found.signed + found.missed} records, and "
            f"{found.signed} are signed: the newest may have been cut off"
        )
    if found.locked:
        print(f"locked: {safe(found.locked)}: read without it; an end being written looks torn")
    for name, size, at in found.witnessed:
        print(f"witnessed: {many(size, 'record')}, by {safe(name)} at {when(at * 10**9)}")
    if found.pinned is not None:
        print(f"pinned: {many(found.pinned, 'record')}, as they were")
    if last is not None and found.pinned is None and not found.witnessed:
        print("not checked: an older copy, or its newest records cut off: --pin or --witness does")
    if report.torn:
        print(
            f"torn: {many(report.torn, 'byte')} from offset {report.complete} ({report.why}); "
            "the next run keeps them in a side file"
        )
    if report.recovered:
        print(f"recovered: {many(report.recovered, 'torn end')} of the past, kept in side files")
    for name in found.gone[:_MOST_RUNS]:
        print(f"gone: {safe(name)}, a torn end of the past; it held no entry")
    for name in found.unread[:_MOST_RUNS]:
        print(f"not read: {safe(name)}, a torn end of the past; all of them together are too long")
    for run in report.again[:_MOST_RUNS]:
        print(f"again: run {run.hex()} began more than once: its records are not of one run")
    if len(report.again) > _MOST_RUNS:
        print(f"again: {len(report.again) - _MOST_RUNS} more")
    for run in report.unfinished[:_MOST_RUNS]:
        print(f"unfinished: run {run.hex()} is still going on or was killed")
    if len(report.unfinished) > _MOST_RUNS:
        print(f"unfinished: {len(report.unfinished) - _MOST_RUNS} more")


def _trouble(said: dict[str, Any]) -> str:
    """What keeps the clerk from its work, by its own words; they prove nothing."""
    parts = [said.get(name) for name in ("error", "sinks", "warning")]
    return "; ".join(part for part in parts if type(part) is str and part)


def _ago(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s"


def _keys(path: str) -> list[VerifierKey]:
    from belljar.ledger.tree.keys import published

    found = published(path)
    if not found:
        raise LedgerError(f"{path} holds no key")
    return found


def _read(path: str) -> bytes:
    from belljar.ledger.tree.note import MAX_NOTE

    try:
        with open(path, "rb") as file:
            return file.read(MAX_NOTE + 1)
    except OSError as error:
        raise LedgerError(f"cannot read the pin {path}: {error.strerror}") from error


def _write_pin(path: str, found: Whole) -> None:
    """A regular file is replaced, whole or not at all; a device or a pipe is written to."""
    from belljar.ledger.tree.notary import replace

    if not found.note:
        raise LedgerError("there is no checkpoint to pin yet: `belljar log checkpoint` makes one")
    try:
        there = os.stat(path) if os.path.exists(path) else None
        if there is not None and not stat.S_ISREG(there.st_mode):
            with open(path, "wb", 0) as file:
                file.write(found.note)
        elif os.path.islink(path):
            raise LedgerError(f"cannot write the pin {path}: it is a link; name the file itself")
        else:
            replace(os.path.abspath(path), found.note)
    except OSError as error:
        raise LedgerError(f"cannot write the pin {path}: {error.strerror}") from error
