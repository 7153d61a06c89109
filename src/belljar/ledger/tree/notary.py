"""Extending a ledger's tree and signing it: what its clerk does, one round after the other.

Everything is derived anew from the chain, the tiles and the notes when a `Notary` begins and after
every failure. Before it signs, it proves that the tree it signed last is how this one begins; so
two different roots for one size are never signed, wherever it was killed.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress

from belljar.errors import LedgerCorrupt, LedgerError
from belljar.ledger import folders, shelf
from belljar.ledger.folders import open_at
from belljar.ledger.format import EPOCH, NAME
from belljar.ledger.leaf import LEAF, leaf
from belljar.ledger.proof.known import note as note_known
from belljar.ledger.reader import Reader, Record
from belljar.ledger.tree import epochs, keys
from belljar.ledger.tree.checkpoint import NAME as CHECKPOINT
from belljar.ledger.tree.checkpoint import Checkpoint, ours
from belljar.ledger.tree.merkle import EMPTY, verify_consistency
from belljar.ledger.tree.note import MAX_NOTE, NoteMalformed, SigningKey, VerifierKey, sign
from belljar.ledger.tree.tiles import Tiles
from belljar.ledger.use import opened
from belljar.ledger.writer import NO_RUN, Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

_TILE: Final = "tile"
#: Leaves that are added at once, and seconds after which what there is gets signed.
_MOST: Final = 1 << 14
_AT_LEAST_EVERY: Final = 1.0
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class Notary:
    """Signs the ledger in `directory`; makes its keys if it has none. The caller holds the lock.

    Raises `LedgerError` for what may pass (a full disk), `LedgerCorrupt` when the ledger is not
    what was signed: then nothing is signed any more.

    >>> notary = Notary("/tmp/example")  # doctest: +SKIP
    >>> notary.round(), notary.size  # doctest: +SKIP
    (4, 4)
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory  # held from the first round on
        self.size = 0
        self.entries = 0
        self.epoch = 0
        self.signed = 0.0  # when, by the monotonic clock
        self.warning = ""
        self._reader: Reader | None = None
        self._next: SigningKey | None = None

    def close(self) -> None:
        """Close the ledger."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def behind(self) -> bool:
        """Whether the chain has grown since the last round. Raises `LedgerError`."""
        return self._reader is None or self._reader.grown()

    def round(self) -> int:
        """Take in what was appended and sign a new checkpoint; how many records were added."""
        try:
            self.directory = opened(self.directory)
            reader = self._reader or self._resume()
            before = self.size
            self._take_in(reader)
            if self.size == before:
                self._sign([])
        except OSError as error:
            self.close()
            where = os.path.join(self.directory, error.filename or "")
            raise LedgerError(f"cannot sign the ledger: {where}: {error.strerror}") from error
        except BaseException:
            self.close()
            raise
        return self.size - before

    def end_epoch(self) -> bool:
        """Sign all there is for good and erase the key that did; False when that adds nothing.

        What was begun by a clerk that was killed is finished, too.
        """
        self.round()
        if self.size == self._epoch_size and self._next is None:
            return False
        before = self.epoch
        if self._next is None:
            fresh = keys.new_epoch(self._fixed.name, before + 1)
            path = os.path.join(self.directory, keys.EPOCH + keys.NEXT)
            with self._keys() as folder:
                keys.save(path, fresh, folder)
            self._next = fresh
        payload = epochs.commitment(before + 1, self._next.public)
        with Writer(self.directory, sync="always", clerk=False, create=False) as writer:
            writer.append([(EPOCH, 1, payload)], NO_RUN)
        self.round()
        if self.epoch == before:
            raise LedgerError("the record that ends the epoch cannot be found in the ledger")
        return True

    # -- where the last round ended

    def _resume(self) -> Reader:
        """Find out, from nothing but files, what is signed and what is not."""
        self._load_keys()
        data = epochs.read(self.directory, CHECKPOINT, MAX_NOTE)
        notes = epochs.History(self.directory, data)
        if data is None and (len(notes) or notes.torn):
            raise LedgerCorrupt(f"{CHECKPOINT} is missing, and there was one; put it back", 0)
        fixed = [self._fixed.public]
        last = ours(self._fixed.name, 0, EMPTY, 0, 0)
        self._epoch_size = 0
        if data is not None:
            last = epochs.opened(data, fixed, CHECKPOINT)
        if len(notes):
            ended = epochs.opened(notes[-1], fixed, f"note {len(notes)} of {epochs.NAME}")
            self._epoch_size = ended.size
            if ended.size > last.size:
                raise LedgerCorrupt(f"{CHECKPOINT} is older than the last of {epochs.NAME}", 0)
        if len(notes) - self.epoch not in (0, 1):
            raise LedgerCorrupt(f"{epochs.NAME} has {len(notes)} notes in epoch {self.epoch}", 0)
        self._last, self._note, self._torn = last, data or b"", notes.torn
        self.size = last.size
        self._tiles = Tiles(self.directory, last.size, sync=True)
        reader = Reader(self.directory)
        try:
            if not self._tree_is_ours():
                self._derive(reader)
                reader.close()
                reader = Reader(self.directory)
            signed = self._go_behind(reader)
            self._finish_epoch(signed, len(notes))
        except BaseException:
            reader.close()
            raise
        self._reader = reader
        return reader

    def _load_keys(self) -> None:
        """Load the keys, or make them for a ledger that never had any."""
        path = {
            name: os.path.join(self.directory, name)
            for name in (keys.FIXED, keys.EPOCH, keys.PUBLIC)
        }
        new = not folders.there(self.directory, CHECKPOINT, epochs.NAME)
        with self._keys() as folder:
            if new and not keys.there(keys.FIXED, folder):
                keys.save(path[keys.FIXED], keys.new_fixed(), folder)
            self._fixed = keys.load(path[keys.FIXED], folder=folder)
            if new and not keys.there(keys.EPOCH, folder):
                keys.save(path[keys.EPOCH], keys.new_epoch(self._fixed.name, 0), folder)
            try:
                self._key = keys.load(path[keys.EPOCH], folder=folder)
            except LedgerError:
                # Killed while it was erased, which is the last thing that is done to it.
                if not keys.finish(path[keys.EPOCH], folder):
                    raise
                self._key = keys.load(path[keys.EPOCH], folder=folder)
            self._next = None
            if keys.there(keys.EPOCH + keys.NEXT, folder):
                self._next = keys.load(path[keys.EPOCH] + keys.NEXT, folder=folder)
            self.epoch = _epoch_of(self._key, self._fixed.name)
            want = [self._fixed.public, self._key.public]
            if new and self.epoch == 0:
                _publish(path[keys.PUBLIC], want, folder)
        if new and self.epoch == 0:
            folders.sync(self.directory)
            try:
                note_known(self.directory, *want)
            except LedgerError as error:
                self.warning = str(error)

    @contextmanager
    def _keys(self) -> Iterator[int]:
        """A descriptor of `keys`, in the ledger's own directory: one that was deleted is not made
        anew."""
        folder = folders.enter(self.directory, os.path.dirname(keys.FIXED), make=True)
        try:
            yield folder
        finally:
            os.close(folder)

    def _tree_is_ours(self) -> bool:
        try:
            return self._tiles.root() == self._last.root
        except LedgerError:
            return False

    def _derive(self, reader: Reader) -> None:
        """Make the tiles anew from the records; those there are kept aside as they are.

        For records that were pruned, only the tiles know the leaves.
        """
        index = reader.place()[4] - 1
        name = f"tile-kept-{time.time_ns()}"
        inside = folders.enter(self.directory, name, make=True)
        aside = folders.Held(os.path.join(self.directory, name), inside)
        if folders.there(self.directory, _TILE):
            above = folders.held(self.directory).fd
            os.rename(_TILE, _TILE, src_dir_fd=above, dst_dir_fd=inside)
        tiles = Tiles(self.directory, 0, sync=True)
        leaves: list[bytes] = []
        if index:
            leaves.extend(Tiles(aside, min(index, self._last.size)).leaves())
        for _offset, _kind, _run, first, count, when, body in reader.found():
            leaves.append(LEAF.pack(first, count, len(body), when, reader.place()[2]))
            if len(leaves) >= _MOST or tiles.size + len(leaves) == self._last.size:
                room = self._last.size - tiles.size
                tiles.append(leaves[:room])
                leaves = []
                if tiles.size == self._last.size:
                    break
        if tiles.size != self._last.size or tiles.root() != self._last.root:
            raise LedgerCorrupt(
                f"the first {self._last.size} records are not those that were signed, and the "
                f"tiles (now in {os.path.basename(aside)}) do not tell which; belljar log verify",
                0,
            )
        self._tiles = tiles

    def _go_behind(self, reader: Reader) -> Record | None:
        """Go behind the last record that is signed, and make sure that it is that."""
        if not self.size:
            self.entries = 0
            return None
        wanted = self._tiles.leaf(self.size - 1)
        first, count, *_rest = epochs.unpacked(wanted)
        self.entries = first + count - 1
        what = f"record {self.size} (entry {first})"
        if reader.first > first:
            # It was pruned, and what is here goes on behind it.
            oldest = shelf.oldest(self.directory)
            try:
                start = oldest.cursor.start if oldest.cursor else None
            finally:
                os.close(oldest.fd)
            if start is None or start[3] != wanted[-32:] or start[5] != self.size:
                raise LedgerCorrupt(f"the books do not go on behind {what}, which was signed", 0)
            return None
        for record in reader.records(first):
            if leaf(record) != wanted or record.index != self.size - 1:
                raise LedgerCorrupt(f"{what} is not the one that was signed", record.offset)
            return record
        raise LedgerCorrupt(f"the ledger ends before {what}, which was signed", 0)

    def _finish_epoch(self, signed: Record | None, ended: int) -> None:
        """Do what is left of an epoch's end: append its last checkpoint, erase its key."""
        if self._next is None:
            return
        if ended == self.epoch:
            # Whether its last checkpoint is there already.
            if signed is None or signed.kind != EPOCH:
                return
            found = epochs.committed(signed.payload, self._fixed.name)
            if found != (self.epoch + 1, self._next.public):
                return
            epochs.append(self.directory, epochs.NAME, self._note, self._torn)
        self._change_keys()

    # -- the round

    def _take_in(self, reader: Reader) -> None:
        pending: list[bytes] = []
        signed = time.monotonic()
        try:
            for _offset, kind, _run, first, count, when, body in reader.found():
                place = reader.place()
                if kind == EPOCH:
                    self._check_epoch(bytes(body), f"record {place[4] - 1} (entry {first})")
                pending.append(LEAF.pack(first, count, len(body), when, place[2]))
                self.entries = first + count - 1
                late = time.monotonic() - signed > _AT_LEAST_EVERY
                if kind == EPOCH or late or len(pending) >= _MOST:
                    whole, pending = pending, []
                    self._sign(whole)
                    signed = time.monotonic()
                    if kind == EPOCH:
                        epochs.append(self.directory, epochs.NAME, self._note, self._torn)
                        self._change_keys()
        finally:
            # What is whole before a flaw is signed, so that it is not lost as well.
            if pending:
                self._sign(pending)

    def _check_epoch(self, payload: bytes, what: str) -> None:
        try:
            found = epochs.committed(payload, self._fixed.name)
        except NoteMalformed as error:
            raise LedgerCorrupt(f"{what} {error}", 0) from error
        if self._next is None or found != (self.epoch + 1, self._next.public):
            raise LedgerCorrupt(f"{what} ends the epoch, but no clerk wrote it", 0)

    def _change_keys(self) -> None:
        assert self._next is not None
        public = self._next.public
        line = epochs.recall(self.directory, self._tiles, self.size - 1, self.epoch + 1, public)
        known = epochs.read(self.directory, epochs.KEYS, epochs.MAX_FILE) or b""
        if not known.endswith(line):
            whole = known.rfind(b"\n") + 1
            epochs.append(self.directory, epochs.KEYS, line, len(known) - whole)
        with self._keys() as folder:
            keys.finish(os.path.join(self.directory, keys.EPOCH), folder)
        self._key, self._next = self._next, None
        self.epoch += 1
        self._epoch_size = self.size
        self._torn = 0

    def _sign(self, leaves: list[bytes]) -> None:
        """Add `leaves` to the tree and publish a checkpoint of it."""
        if leaves:
            self._chain_to_disk()
            self._tiles.append(leaves)
        tiles, last = self._tiles, self._last
        size, root = tiles.size, tiles.root()
        proof = tiles.consistency(last.size, size)
        if not verify_consistency(last.size, last.root, size, root, proof):
            raise LedgerCorrupt(f"{_TILE} does not go on from what was signed last", 0)
        # Never earlier than the last one, even where the clock was put back.
        now = max(time.time_ns(), (last.time or 0) + 1)
        new: Checkpoint = ours(last.origin, size, root, self.epoch, now)
        note = sign(new.render(), [self._fixed, self._key])
        replace(CHECKPOINT, note, folder=folders.held(self.directory).fd)
        self._last, self._note, self.size = new, note, size
        self.signed = time.monotonic()

    def _chain_to_disk(self) -> None:
        """What is signed must outlive the machine: a tree that knows more than the chain is lost.
        (Writers bring a book to disk before they close it.)"""
        fd = open_at(folders.held(self.directory).fd, NAME)
        try:
            os.fdatasync(fd)
        finally:
            os.close(fd)


def _publish(path: str, want: list[VerifierKey], folder: int) -> None:
    """`keys/public` holds what is wanted, and nothing else."""
    if keys.there(path, folder):
        if keys.published(path, folder) == want:
            return
        os.unlink(os.path.basename(path), dir_fd=folder)
    keys.publish(path, *want, folder=folder)


def replace(path: str, data: bytes, mode: int = 0o644, folder: int | None = None) -> None:
    """Write a file anew, whole or not at all, after the disk has its bytes: the one at `path`, or
    the one of that name in the folder open at `folder`. Raises `OSError`."""
    temporary = f"{path}.tmp"
    with suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=folder)  # of one that was killed, whatever it is by now
    with os.fdopen(os.open(temporary, _NEW, mode, dir_fd=folder), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path, src_dir_fd=folder, dst_dir_fd=folder)


def _epoch_of(key: SigningKey, origin: str) -> int:
    """N of the epoch whose key this is. Raises `LedgerCorrupt` for a key of another ledger."""
    number = key.name.removeprefix(f"{origin}/epoch/")
    if not number.isascii() or not number.isdigit() or len(number) > 18:
        raise LedgerCorrupt(f"{keys.EPOCH} is not a key of this ledger", 0)
    return int(number)
