"""Whom a ledger's signatures are trusted to be of, and the files that lie beside them."""

from __future__ import annotations

import os
from hashlib import sha256

from belljar.errors import LedgerCorrupt, LedgerError
from belljar.ledger import folders
from belljar.ledger.proof import known
from belljar.ledger.tree import epochs, keys
from belljar.ledger.tree.keys import epoch_name, origin_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.ledger.tree.note import SigningKey, VerifierKey

#: Where the keys come from: the caller; what was noted outside at the ledger's creation; or only
#: the ledger's own files.
GIVEN: Final = "given"
NOTED: Final = "noted"
OWN: Final = "own"
#: Torn ends are looked into up to this many bytes: 0.2 s, however many there are said to be.
MOST_OF_SIDES: Final = 256 << 20


def keys_of(
    directory: str, given: list[VerifierKey] | None
) -> tuple[tuple[VerifierKey, VerifierKey] | None, str]:
    """The fixed key and the genesis epoch's of a ledger, and where they come from.

    None where nobody knows of any. Raises `LedgerCorrupt` when its own are others.
    """
    try:
        own = published(directory)
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
    ending = folders.there(directory, keys.EPOCH + keys.NEXT)
    allowed = {keys.FIXED: (fixed,), keys.EPOCH: (epoch, before) if ending else (epoch,)}
    for name, those in allowed.items():
        if not folders.there(directory, name):
            raise LedgerCorrupt(f"{name} is missing", 0)
        try:
            found = _loaded(directory, name)
        except PermissionError:
            continue
        except (LedgerError, OSError) as error:
            if ending and name == keys.EPOCH:
                continue  # just being erased
            raise LedgerCorrupt(f"{name} cannot be used: {error}", 0) from error
        whole = epochs.read(directory, name, 1 << 16) == f"{found.private()}\n".encode()
        if found.public not in those or not (whole or ending):
            raise LedgerCorrupt(f"{name} is not the key that this ledger signs with", 0)


def published(directory: str) -> tuple[VerifierKey, ...]:
    """The keys in `keys/public`; none where there is no such file. Raises `LedgerError`."""
    folder = -1
    try:
        folder = folders.enter(directory, os.path.dirname(keys.PUBLIC))
        if not keys.there(keys.PUBLIC, folder):
            return ()
        return tuple(keys.published(os.path.join(directory, keys.PUBLIC), folder))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise folders.cannot(directory, keys.PUBLIC, error) from error
    finally:
        if folder >= 0:
            os.close(folder)


def _loaded(directory: str, name: str) -> SigningKey:
    """Raises `PermissionError` where it is not for us to read, `OSError`, `LedgerError`."""
    folder = folders.enter(directory, os.path.dirname(name))
    try:
        base = os.path.basename(name)
        if not os.access(base, os.R_OK, dir_fd=folder, effective_ids=True):
            raise PermissionError(1, "not for us to read")
        return keys.load(os.path.join(directory, name), mine=False, folder=folder)
    finally:
        os.close(folder)


def delivered(directory: str) -> tuple[str, int]:
    """The file that says how far the sink got that is furthest, and its last entry; 0 for none.

    Sinks are given entries before anything signs them: so it is a word about the ledger's end.
    """
    furthest = "", 0
    if folders.names(directory, "sinks"):
        from belljar.ledger.sinks import store

        those = store.names(directory)
        if len(those) > 2 * store.MOST_SINKS:
            what = f"sinks has {len(those)} sinks, and a ledger {store.MOST_SINKS} at most"
            raise LedgerCorrupt(what, 0)
        for name in those:
            registered = store.load(directory, name)
            if registered is not None:
                last = store.position(directory, registered).next - 1
                furthest = max(furthest, (f"sinks/{name}.at", last), key=lambda one: one[1])
    return furthest


def check_sides(
    directory: str, told: list[tuple[int, bytes]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Check the torn ends that RECOVERED records (entry, payload) name: those that are missing, and
    those that are not looked into because there is too much of them (`MOST_OF_SIDES` in all).

    They hold no entry. Raises `LedgerCorrupt` for one that is another.
    """
    gone: dict[str, None] = {}
    unread: dict[str, None] = {}
    digests: dict[str, str] = {}  # each is read once, however many records name it
    left = MOST_OF_SIDES
    for first, payload in told:
        name, length, digest = _side(payload)
        if not name or name in unread or name in gone:
            continue
        if name not in digests:
            try:
                size, digests[name] = _hashed(directory, name, length, left)
            except FileNotFoundError:
                gone[name] = None
                continue
            if not digests[name]:
                unread[name] = None
                continue
            left -= size if size == length else 0
        if digests[name] != digest:
            raise LedgerCorrupt(f"{name} is not what entry {first} says of it", 0)
    return tuple(gone), tuple(unread)


def _side(payload: bytes) -> tuple[str, int, str]:
    """Name, length and digest by a RECOVERED record; no name where nothing rests on it."""
    import msgspec

    try:
        found = msgspec.msgpack.decode(payload)
        name, length, digest = found["file"], found["length"], found["sha256"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "", 0, ""
    fits = type(name) is str and name.startswith("torn-") and "/" not in name and "\0" not in name
    if not fits or type(length) is not int or type(digest) is not str:
        return "", 0, ""
    return name, length, digest


def _hashed(directory: str, name: str, length: int, left: int) -> tuple[int, str]:
    """Size and SHA-256 of a side file; it is only read when it has `length` bytes and no more than
    `left`. Raises `FileNotFoundError`, `LedgerCorrupt`."""
    folder = fd = -1
    try:
        folder = folders.enter(directory)
        fd = folders.open_at(folder, name)
        size = os.fstat(fd).st_size
        if size != length:
            return size, "another length"
        if size > left:
            return size, ""
        state = sha256()
        while left > 0 and (part := os.read(fd, min(left, 1 << 20))):
            state.update(part)
            left -= len(part)
        return size, state.hexdigest()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise folders.cannot(directory, name, error) from error
    finally:
        for one in (folder, fd):
            if one >= 0:
                os.close(one)
