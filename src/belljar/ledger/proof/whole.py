"""Proving a ledger whole: chain, tree, signatures, epochs, and the keys that all rests on.

What cannot be found by any look at the ledger itself, `docs/ledger-verify.md` says; a pinned
checkpoint or a witness's are for that.
"""

from __future__ import annotations

from contextlib import closing

from belljar.errors import LedgerCorrupt
from belljar.ledger import folders, shelf
from belljar.ledger.patience import tolerant
from belljar.ledger.proof.walk import Signed, Walk
from belljar.ledger.reader import Report
from belljar.ledger.tree import custody, epochs, keys
from belljar.ledger.tree.checkpoint import NAME as CHECKPOINT
from belljar.ledger.tree.checkpoint import Checkpoint
from belljar.ledger.tree.clerk import state
from belljar.ledger.tree.note import (
    MAX_NOTE,
    NoteMalformed,
    NoteUnverified,
    VerifierKey,
    cosigned_at,
    open_note,
    parse_note,
)
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

    from belljar.ledger.tree.epochs import Commitment

_WITNESS: Final = "witness"
_HEX: Final = b"0123456789abcdef "
_TRIES: Final = 5
_MOST_WITNESSES: Final = 256


class Whole(Value):
    """What `examine` found in a ledger that is right as far as can be seen.

    `signed` of its records are covered by `checkpoint` (None: nothing is signed yet), whose bytes
    are `note`, and `unsigned` are not; `ended` epochs have their last checkpoint. `trust` says
    where the keys come from: `given`, `noted` (outside, at creation) or `own` (only the ledger's
    own files say so). `witnessed`: name, size and time (s) of each cosignature that was verified.
    `pinned` is the size of the pin, None without one. `gone` names side files that are missing,
    `unread` those that are too long to be read all. The clerk once said that it had signed `missed`
    more records than are: its word proves nothing, and yet. `locked` says who had the ledger's
    lock for so long that it was read without: an end that is being written counts as torn then.
    """

    report: Report
    checkpoint: Checkpoint | None
    signed: int
    unsigned: int
    ended: int
    trust: str
    note: bytes
    witnessed: tuple[tuple[str, int, int], ...]
    pinned: int | None
    gone: tuple[str, ...]
    unread: tuple[str, ...] = ()
    missed: int = 0
    locked: str = ""


def examine(
    directory: str,
    *,
    trusted: list[VerifierKey] | None = None,
    pin: bytes | None = None,
    witnesses: Iterable[VerifierKey] = (),
) -> Whole:
    """Prove the ledger in `directory` whole, beside writers and a clerk that are at work.

    `trusted` are its fixed key and its genesis epoch's, in this order; without them those that were
    noted at its creation count. `pin` is a checkpoint of it from elsewhere, `witnesses` the keys
    of witnesses whose cosigned checkpoints are asked for.
    Raises `LedgerCorrupt` naming the first record, file or checkpoint that is not right, and
    `LedgerError` when the ledger cannot be read.

    >>> examine("/tmp/example").unsigned  # doctest: +SKIP
    0
    """
    asked = list(witnesses)
    held = shelf.held(directory)  # one ledger, whatever its name leads to by then
    lock = tolerant(held)
    try:
        for _ in range(_TRIES):
            this = _Examination(held, trusted, pin, asked)
            try:
                return this.run().replace(locked=lock.told)
            except LedgerCorrupt:
                # The clerk may have ended an epoch meanwhile: what was read first is older then.
                if not this.outdated():
                    raise
        return _Examination(held, trusted, pin, asked).run().replace(locked=lock.told)
    except LedgerCorrupt as error:
        if not lock.told:
            raise
        what = f"{error} (read without its lock: {lock.told}, and may have been at work)"
        raise LedgerCorrupt(what, error.offset) from error


class _Examination:
    def __init__(
        self,
        directory: folders.Held,
        trusted: list[VerifierKey] | None,
        pin: bytes | None,
        witnesses: list[VerifierKey],
    ) -> None:
        self.directory = directory
        said = state(directory).get("records")
        self.said = said if type(said) is int else 0  # before anything else: it only grows
        self.note, self.notes = self._snapshot()
        self.lines: bytes | None = None
        self.roots: list[Signed] = []
        self.witnessed: list[tuple[str, int, int]] = []
        self.last: Checkpoint | None = None
        self.signed = 0
        self.epoch = 0  # that the record reached belongs to
        self.time = 0
        self.ended: list[Signed] = []
        self.remembered: list[Commitment] = []
        self.commitments: list[VerifierKey] = []
        self.pin: Checkpoint | None = None
        self.trust = custody.OWN
        self.given = custody.delivered(directory)
        self.trusted, self.pinned, self.witnesses = trusted, pin, witnesses

    def outdated(self) -> bool:
        """Whether the notes are others by now."""
        if self._snapshot() != (self.note, self.notes):
            return True
        try:
            return self._lines() != self.lines
        except LedgerCorrupt:
            return self.lines is not None

    def _lines(self) -> bytes | None:
        """`keys/epochs`, which never has more lines than there are epochs."""
        most = (len(self.notes) + 2) * epochs.MAX_LINE
        return epochs.read(self.directory, epochs.KEYS, most)

    def run(self) -> Whole:
        try:
            self.lines = self._lines()
        except LedgerCorrupt:
            self._begin()  # where `epochs` lost its notes, that is the flaw
            raise
        self._begin()
        ends = {one.size for one in self.ended}
        walk = Walk(self.directory, self.signed, self.roots, ends, self._on_epoch)
        with closing(walk):
            report = walk.verify()
            walk.finish()
        self._check_end()
        if self.given[1] >= walk.position:
            raise LedgerCorrupt(
                f"entry {walk.position} is missing: the ledger ends before it, and "
                f"{self.given[0]} says that entry {self.given[1]} was sent",
                0,
            )
        if self.commitments:
            ended = len(self.ended)
            now, before = self.commitments[ended], self.commitments[max(0, ended - 1)]
            custody.check_private(self.directory, self.fixed, now, before)
        gone, unread = custody.check_sides(self.directory, walk.sides)
        return Whole(
            report, self.last, self.signed, walk.size - self.signed, len(self.ended), self.trust,
            self.note or b"", tuple(self.witnessed), self.pin.size if self.pin else None, gone,
            unread, max(0, self.said - self.signed),
        )  # fmt: skip

    def _begin(self) -> None:
        found, self.trust = custody.keys_of(self.directory, self.trusted)
        if found is not None:
            self.fixed, genesis = found
            self.commitments = [genesis]
            self._open_notes()
            self._open_witnesses(self.witnesses)
        elif self._traces():
            raise LedgerCorrupt(f"{keys.PUBLIC} is missing, and there was one", 0)
        elif self.witnesses:
            raise LedgerCorrupt(f"{CHECKPOINT} is missing: nothing of this ledger is signed", 0)
        if self.pinned is not None:
            self._open_pin(self.pinned)

    # -- before the walk: notes and keys

    def _snapshot(self) -> tuple[bytes | None, epochs.History]:
        """`checkpoint` and `epochs` as they were at one moment."""
        for _ in range(_TRIES):
            current = epochs.read(self.directory, CHECKPOINT, MAX_NOTE)
            notes = epochs.History(self.directory, current)
            if current is None or not len(notes) or self._ended_by(current) >= len(notes):
                break
        return current, notes

    def _ended_by(self, note: bytes) -> int:
        """How many epochs can have ended when this checkpoint was signed."""
        try:
            found = epochs.peek(note, CHECKPOINT)
        except LedgerCorrupt:
            return 1 << 62  # to be told later
        return (found.epoch or 0) + 1

    def _traces(self) -> bool:
        names = (CHECKPOINT, epochs.NAME, epochs.KEYS, "tile", _WITNESS)
        return folders.there(self.directory, *names)

    def _open_notes(self) -> None:
        """Everything that the fixed key signed; the epochs' keys are known only in the walk."""
        for number, note in enumerate(self.notes, 1):
            where = f"note {number} of {epochs.NAME}"
            one = epochs.opened(note, [self.fixed], where)
            self._check_order(one, number - 1, where)
            self.ended.append(Signed(one.size, one.root, where))
        self.roots.extend(self.ended)
        if self.note is None:
            if len(self.notes) or self._signed_before():
                raise LedgerCorrupt(f"{CHECKPOINT} is missing, and there was one", 0)
            return
        last = self.last = epochs.opened(self.note, [self.fixed], CHECKPOINT)
        self.signed = last.size
        if last.epoch == len(self.notes) - 1:
            if parse_note(self.note).text != parse_note(self.notes[-1]).text:
                raise LedgerCorrupt(
                    f"{CHECKPOINT} is not the last one of its epoch, which is in {epochs.NAME}", 0
                )
        elif last.epoch != len(self.notes):
            raise LedgerCorrupt(
                f"{CHECKPOINT} is of epoch {last.epoch}, and {epochs.NAME} has {len(self.notes)} "
                "notes: some are missing, or it is an older one",
                0,
            )
        else:
            self._check_order(last, len(self.notes), CHECKPOINT)
        self.roots.append(Signed(last.size, last.root, CHECKPOINT))
        self.remembered = epochs.remembered(self.lines)

    def _signed_before(self) -> bool:
        """Whether more was done than a clerk does before its first checkpoint."""
        return folders.there(self.directory, epochs.KEYS, _WITNESS) or self.said > 0

    def _check_order(self, one: Checkpoint, epoch: int, where: str) -> None:
        """Sizes and times never go back, and epochs count."""
        before = self.ended[-1].size if self.ended else 0
        if one.epoch != epoch or one.size < before or (one.time or 0) <= self.time:
            raise LedgerCorrupt(f"{where} is not where it belongs: another comes before it", 0)
        self.time = one.time or 0

    def _open_witnesses(self, wanted: list[VerifierKey]) -> None:
        """Cosigned checkpoints in `witness/` are no newer than ours; with a key, they verify."""
        names = sorted(folders.names(self.directory, _WITNESS))[:_MOST_WITNESSES]
        by_id = {key.id.hex(): key for key in wanted}
        for name in names:
            if len(name) != 8 or name.endswith(".tmp"):
                continue
            where = f"{_WITNESS}/{name}"
            data = epochs.read(self.directory, where, MAX_NOTE)
            if data is None:
                continue
            key = by_id.pop(name, None)
            one = epochs.opened(data, [self.fixed], where)
            self._cover(one, where)
            if key is not None:
                try:
                    (signature,) = open_note(data, [key]).signatures
                except (NoteMalformed, NoteUnverified) as error:
                    raise LedgerCorrupt(f"{where} does not verify: {error}", 0) from error
                self.witnessed.append((key.name, one.size, cosigned_at(signature)))
        for name, key in by_id.items():
            raise LedgerCorrupt(f"{_WITNESS}/{name} is missing: nothing cosigned by {key.name}", 0)

    def _open_pin(self, pin: bytes) -> None:
        if not self.commitments:
            raise LedgerCorrupt(f"{CHECKPOINT} is missing, and the pin is one of this ledger", 0)
        self.pin = epochs.opened(pin, [self.fixed], "the pin")
        self._cover(self.pin, "the pin")

    def _cover(self, one: Checkpoint, where: str) -> None:
        """A checkpoint from elsewhere: ours must be as new."""
        self.roots.append(Signed(one.size, one.root, where))
        last = self.last
        if last is None or last.size < one.size or (last.time or 0) < (one.time or 0):
            ours = f"{last.size} records" if last else "nothing"
            raise LedgerCorrupt(
                f"{CHECKPOINT} is older than {where}: it covers {ours}, {where} {one.size}; "
                "the ledger was put back or cut short",
                0,
            )

    # -- in the walk

    def _on_epoch(self, index: int, first: int, payload: bytes | None, leaf: bytes) -> None:
        """An EPOCH record: it ends `self.epoch`, whose last checkpoint covers it and no more."""
        what = f"record {index + 1}" + (f" (entry {first})" if first else "")
        if not self.commitments:
            raise LedgerCorrupt(f"{what} begins an epoch, but {keys.PUBLIC} is missing", 0)
        number = self.epoch + 1
        kept = self.remembered[number - 1] if number <= len(self.remembered) else None
        if payload is None:
            if kept is None or epochs.own_hash(leaf, kept, number) != leaf[-32:]:
                raise LedgerCorrupt(f"line {number} of {epochs.KEYS} is not that of {what}", 0)
            key = kept[0]
        else:
            try:
                epoch, key = epochs.committed(payload, self.fixed.name)
            except NoteMalformed as error:
                raise LedgerCorrupt(f"{what} {error}", 0) from error
            if epoch != number:
                raise LedgerCorrupt(f"{what} begins epoch {epoch}, expected {number}", 0)
        self.epoch = number
        self.commitments.append(key)
        if index >= self.signed:
            # Its checkpoint comes before the next: there cannot be two.
            if self.last is None or number > len(self.ended) + 1:
                what = f"{what} ended an epoch, and {CHECKPOINT}"
                raise LedgerCorrupt(f"{what} {'is older' if self.last else 'is missing'}", 0)
            return
        if kept is not None and (
            kept[0] != key or epochs.own_hash(leaf, kept, number) != leaf[-32:]
        ):
            raise LedgerCorrupt(f"line {number} of {epochs.KEYS} is not that of {what}", 0)
        # A clerk may have been killed between the record's checkpoint and what follows it.
        ending = folders.there(self.directory, keys.EPOCH + keys.NEXT)
        if kept is None and (self.signed != index + 1 or not ending):
            raise LedgerCorrupt(f"{epochs.KEYS} lacks line {number}, the key of {what}", 0)
        if number > len(self.ended):
            if self.signed != index + 1 or kept is not None:
                raise LedgerCorrupt(
                    f"{epochs.NAME} lacks note {number}: the last checkpoint of the epoch that "
                    f"{what} ended",
                    0,
                )
            return
        where = f"note {number} of {epochs.NAME}"
        if self.ended[number - 1].size != index + 1:
            raise LedgerCorrupt(
                f"{where} covers {self.ended[number - 1].size} records, but {what} ended the epoch",
                0,
            )
        signers = [self.fixed, self.commitments[number - 1]]
        again = epochs.opened(self.notes[number - 1], signers, where)
        if (again.size, again.root) != (index + 1, self.ended[number - 1].root):
            raise LedgerCorrupt(f"{where} changed while it was read", 0)

    # -- behind it

    def _check_end(self) -> None:
        if len(self.ended) > self.epoch:
            where = f"note {self.epoch + 1} of {epochs.NAME}"
            raise LedgerCorrupt(f"{where}: the ledger has no record that ended its epoch", 0)
        if len(self.remembered) > self.epoch:
            where = f"line {self.epoch + 1} of {epochs.KEYS}"
            raise LedgerCorrupt(f"{where}: the ledger has no record that begins that epoch", 0)
        begun = (self.lines or b"").rpartition(b"\n")[2]
        if begun and not self._is_being_written(begun):
            where = f"line {len(self.remembered) + 1} of {epochs.KEYS}"
            raise LedgerCorrupt(f"{where} is none that a clerk began to write", 0)
        if self.last is not None and self.note is not None:
            current = self.last.epoch or 0
            if current >= len(self.commitments):
                raise LedgerCorrupt(f"{CHECKPOINT} is of epoch {current}, which never began", 0)
            epochs.opened(self.note, [self.fixed, self.commitments[current]], CHECKPOINT)

    def _is_being_written(self, begun: bytes) -> bool:
        """Whether a line of `keys/epochs` without an end is what a clerk leaves that is killed
        while it ends an epoch: it names the key that comes next."""
        ending = folders.there(self.directory, keys.EPOCH + keys.NEXT)
        vkey = f"{self.commitments[-1].vkey()} ".encode() if self.commitments else b""
        rest = begun.removeprefix(vkey)
        return ending and (vkey.startswith(begun) or (rest != begun and not rest.strip(_HEX)))
