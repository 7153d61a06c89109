"""What a run leaves in the ledger, within bounds: a guest must not fill the host's disk.

Up to `BULK` bytes every event is kept. Beyond, only those that needed a decision, up to `ALL`;
what is not kept is counted, and the count is part of the record's last entry.
"""

from __future__ import annotations

from belljar import _native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from belljar.ledger import Writer
    from belljar.ledger.collect.remote import RemoteWriter

BULK = 64 << 20
ALL = 2 * BULK
_ROWS = 100  # decisions in one record: each has some hundreds of bytes, at most some thousands


class Record:
    """The entries of one run. Raises `LedgerError` when they cannot be kept."""

    def __init__(self, writer: Writer | RemoteWriter, run_id: bytes) -> None:
        self._writer = writer
        self.run_id = run_id
        self._size = 0
        self.unkept = 0  # events

    @property
    def directory(self) -> str:
        """Where the ledger lies."""
        return self._writer.directory

    def start(self, body: dict[str, object]) -> None:
        """The first entry. What a person calls the guest and its policy is added to `body`."""
        from belljar import __version__
        from belljar.ledger import START

        body["belljar"] = __version__
        if (rows := body.get("policy")) is not None:
            body["policy-name"] = _policy_name(rows)
        self._writer.append([(START, 1, _native.pack(body))], self.run_id)

    def events(self, frames: bytes, count: int, flagged: Sequence[tuple[int, int]]) -> bool:
        """Whole frames as they came. True where all that are `flagged` are kept: those that wait
        for an answer are among them."""
        from belljar.ledger import EVENTS

        if self._size + len(frames) > BULK:
            picked = [frames[offset : offset + length] for offset, length in flagged]
            self.unkept += count - len(picked)
            frames, count = b"".join(picked), len(picked)
            if self._size + len(frames) > ALL:
                self.unkept += count
                return not count
        if count:
            self._size += len(frames)
            self._writer.append([(EVENTS, count, frames)], self.run_id)
        return True

    def decisions(self, rows: list[dict[str, object]]) -> list[int | None]:
        """Decisions; returns the number of each, None for those beyond the bounds."""
        from belljar.ledger import DECISIONS

        numbers: list[int | None] = []
        for at in range(0, len(rows), _ROWS):
            some = rows[at : at + _ROWS]
            payload = _native.pack(some, 8 << 20)
            if self._size + len(payload) > ALL + BULK:
                self.unkept += len(some)
                numbers += [None] * len(some)
                continue
            self._size += len(payload)
            first = self._writer.append([(DECISIONS, len(some), payload)], self.run_id)[0]
            numbers += range(first, first + len(some))
        return numbers

    def end(self, body: dict[str, object]) -> None:
        """The last entry."""
        from belljar.ledger import END

        body["unkept"] = self.unkept
        self._writer.append([(END, 1, _native.pack(body))], self.run_id)

    def close(self) -> None:
        """The ledger is let go."""
        self._writer.close()


class Held:
    """Instead of a record, while nobody owns the guest: whoever has its events held them back until
    there is one, before any code of an owner's runs."""

    def events(self, _frames: bytes, _count: int, _flagged: object) -> bool:
        """They are held."""
        return True

    def decisions(self, rows: list[dict[str, object]]) -> list[int | None]:
        """They are made anew."""
        return [None] * len(rows)


def _policy_name(rows: object) -> str:
    """The files that the policy was written in, by its rows (key, value, where); `flags` where it
    is only that, and `default` where nobody wrote anything."""
    files: dict[str, None] = {}
    flags = False
    for row in rows if type(rows) is list else ():
        where = row[2]
        file, _, line = where.rpartition(":")
        if file and line.isdigit():
            files[file] = None
        flags = flags or where.startswith("--")
    return ", ".join(files) or ("flags" if flags else "default")
