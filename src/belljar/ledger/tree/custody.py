"""Whom a ledger's signatures are trusted to be of, and the files that lie beside them."""

from __future__ import annotations

import os
from hashlib import sha256

from belljar.errors import LedgerCorrupt, LedgerError
from belljar.ledger.proof import known
from belljar.ledger.tree import epochs, keys
from belljar.ledger.tree.keys import epoch_name, origin_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.ledger.tree.note import VerifierKey

#: Where the keys come from: the caller; what was noted outside at the ledger's creation; or only
#: the ledger's own files.
GIVEN: Final = "given"
NOTED: Final = "noted"
OWN: Final = "own"
_SIDE_FILE: Final = 64 << 20


def keys_of(
    directory: str, given: list[VerifierKey] | None
) -> tuple[tuple[VerifierKey, VerifierKey] | None, str]:
    """The fixed key and the genesis epoch's of a ledger, and where they come from.

    None where nobody knows of any. Raises `LedgerCorrupt` when its own are others.
    """
    path = os.path.join(directory, keys.PUBLIC)
    try:
        own = tuple(keys.published(path)) if os.path.lexists(path) else ()
    except LedgerError as error:
        raise LedgerCorrupt(f"{keys.PUBLIC} cannot be read: {error}", 0) from error
    trust, remedy = OWN, ""
    if given is not None:
        if len(given) < 2:
            raise LedgerError("a ledger has two keys to trust: the fixed one, then epoch 0's")
        trust, fixed, genesis = GIVEN, given[0], given[1]
    elif noted := known.find(directory, own[0].name if own else ""):
        trust, fixed, genesis = NOTED, noted.fixed, noted.genesis
        remedy = (
            f", which {known.path()}:{noted.line} has noted (if you replaced or removed that "
            "ledger yourself, remove the line)"
        )
    elif own:
        if len(own) != 2:
            raise LedgerCorrupt(f"{keys.PUBLIC} does not hold two keys", 0)
        fixed, genesis = own
    else:
        return None, OWN
    if own != (fixed, genesis):
        what = "does not hold the keys of the ledger" if own else "is missing: the keys of the one"
        raise LedgerCorrupt(f"{keys.PUBLIC} {what} that belongs here{remedy}", 0)
    if (
        epochs.read(directory, keys.PUBLIC, 1 << 16)
        != "".join(f"{key.vkey()}\n" for key in (fixed, genesis)).encode()
    ):
        raise LedgerCorrupt(f"{keys.PUBLIC} is not as it was written", 0)
    if fixed.name != origin_of(fixed.public) or genesis.name != epoch_name(fixed.name, 0):
        raise LedgerCorrupt(f"{keys.PUBLIC}: the names do not belong to the keys", 0)
    return (fixed, genesis), trust


def check_private(
    directory: str, fixed: VerifierKey, epoch: VerifierKey, before: VerifierKey
) -> None:
    """The private keys, where they can be read, are those that the next clerk needs.

    Of the epoch before only while it is being ended. Raises `LedgerCorrupt`.
    """
    path = os.path.join(directory, keys.EPOCH)
    ending = os.path.lexists(path + keys.NEXT)
    allowed = {keys.FIXED: (fixed,), keys.EPOCH: (epoch, before) if ending else (epoch,)}
    for name, those in allowed.items():
        path = os.path.join(directory, name)
        if not os.path.lexists(path):
            raise LedgerCorrupt(f"{name} is missing", 0)
        if not os.access(path, os.R_OK):
            continue
        try:
            found = keys.load(path)
        except LedgerError as error:
            if ending and name == keys.EPOCH:
                continue  # just being erased
            raise LedgerCorrupt(f"{name} cannot be used: {error}", 0) from error
        whole = epochs.read(directory, name, 1 << 16) == f"{found.private()}\n".encode()
        if found.public not in those or not (whole or ending):
            raise LedgerCorrupt(f"{name} is not the key that this ledger signs with", 0)


def delivered(directory: str) -> tuple[str, int]:
    """The file that says how far the sink got that is furthest, and its last entry; 0 for none.

    Sinks are given entries before anything signs them: so it is a word about the ledger's end.
    """
    furthest = "", 0
    if os.path.isdir(os.path.join(directory, "sinks")):
        from belljar.ledger.sinks import store

        for name in store.names(directory):
            registered = store.load(directory, name)
            if registered is not None:
                last = store.position(directory, registered).next - 1
                furthest = max(furthest, (f"sinks/{name}.at", last), key=lambda one: one[1])
    return furthest


def check_sides(directory: str, told: list[tuple[int, bytes]]) -> tuple[str, ...]:
    """Check the torn ends that RECOVERED records (entry, payload) name; those that are missing.

    They hold no entry. Raises `LedgerCorrupt` for one that is another.
    """
    import msgspec

    gone = []
    for first, payload in told:
        try:
            found = msgspec.msgpack.decode(payload)
            name, digest = found["file"], found["sha256"]
            if not name.startswith("torn-") or "/" in name:
                raise ValueError("no side file")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue  # nothing rests on it
        data = epochs.read(directory, name, _SIDE_FILE)
        if data is None:
            gone.append(name)
        elif sha256(data).hexdigest() != digest:
            raise LedgerCorrupt(f"{name} is not what entry {first} says of it", 0)
    return tuple(gone)
