"""`belljar log prove N`: that entry N's record is in the signed tree; or check such a proof."""

from __future__ import annotations

import os
import sys

from belljar.cli.log_text import entry_number, print_json, safe, when, with_json, with_ledger
from belljar.errors import LedgerCorrupt, LedgerError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from belljar.ledger.tree.note import VerifierKey


def arguments(parser: ArgumentParser) -> None:
    """The command line."""
    parser.add_argument(
        "number", nargs="?", type=entry_number, metavar="N", help="an entry: 412 or '#412'"
    )
    parser.add_argument("--check", metavar="FILE", help="check this proof; needs --key, no ledger")
    parser.add_argument("--key", metavar="FILE", help="the ledger's fixed vkey, on its first line")
    with_ledger(parser)
    with_json(parser)


def act(options: Namespace) -> int:
    """0 proved, 1 not."""
    from belljar.ledger.proof import prove

    if options.check is None:
        if options.number is None:
            raise UsageError("prove N, or prove --check FILE")
        text = prove.prove(options.directory, options.number)
        if options.json:
            print_json({"entry": options.number, "proof": text})
        else:
            sys.stdout.write(text)
        return 0
    try:
        key, trust = trusted(options.key, options.directory)
        found = prove.check(read(options.check), [key])
    except LedgerCorrupt as error:
        if options.json:
            print_json({"proved": False, "error": str(error)})
        else:
            print(f"broken: {safe(str(error))}")
        return 1
    last = found.first + found.count - 1
    if options.number is not None and not found.first <= options.number <= last:
        text = f"it proves entries {found.first} to {last}, not {options.number}"
        if options.json:
            print_json({"proved": False, "error": text})
        else:
            print(f"broken: {text}")
        return 1
    point = found.checkpoint
    if options.json:
        print_json(
            {
                "proved": True, "index": found.index, "first": found.first, "count": found.count,
                "time": found.time, "hash": found.own.hex(), "origin": point.origin,
                "size": point.size, "signed": point.time, "trust": trust, "key": key.vkey(),
            }
        )  # fmt: skip
        return 0
    print(
        f"proved: record {found.index + 1}, entries {found.first} to {last}, of "
        f"{when(found.time)}, with the hash {found.own.hex()}, is one of {point.size} that "
        f"{safe(point.origin)} signed at {when(point.time or 0)}"
    )
    print(confirmed(trust, options.directory))
    return 0


def trusted(path: str | None, directory: str) -> tuple[VerifierKey, str]:
    """The fixed key of `--key FILE`, else that of the ledger; and whose word that is: `given`,
    `noted` when the ledger was made, or only its `own`.

    Raises `LedgerError` where there is none, `LedgerCorrupt` when another was noted.
    """
    from belljar.ledger.proof import known
    from belljar.ledger.tree.keys import PUBLIC, published

    where = path or os.path.join(directory, PUBLIC)
    if not path and not os.path.lexists(where):
        raise LedgerError(f"no key to check with: there is no {where}; --key FILE names one")
    found = published(where)
    if not found:
        raise LedgerError(f"{where} holds no key")
    if path:
        return found[0], "given"
    noted = known.find(directory, found[0].name)
    if noted is None:
        return found[0], "own"
    if noted.fixed != found[0]:
        raise LedgerCorrupt(
            f"{where} does not hold the key of the ledger that belongs here, which "
            f"{known.path()}:{noted.line} has noted",
            0,
        )
    return found[0], "noted"


def confirmed(trust: str, directory: str) -> str:
    """The line that says whose word the key is."""
    from belljar.ledger.tree.keys import PUBLIC

    where = safe(os.path.join(directory, PUBLIC))
    return {
        "given": "key: the one that was given",
        "noted": f"key: the one in {where}, as it was noted when that ledger was made",
        "own": f"not confirmed: the key is the one in {where}, and nothing outside of that ledger "
        "says that it is right; --key FILE, with a copy that you trust, does",
    }[trust]


def read(path: str) -> bytes:
    """A proof's bytes. Raises `LedgerError`."""
    from belljar.ledger.proof.prove import MAX_FILE

    try:
        with open(path, "rb") as file:
            return file.read(MAX_FILE + 1)
    except OSError as error:
        raise LedgerError(f"cannot read {path}: {error.strerror}") from error
