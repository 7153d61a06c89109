"""Which runs a ledger has seen begin: nobody may begin one of them again, and so append to it."""

from __future__ import annotations

from array import array

from belljar.errors import LedgerError
from belljar.ledger import former
from belljar.ledger.format import START
from belljar.ledger.reader import Reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

#: A set takes ten times the memory of an array: no more runs than these are in it.
_MOST_NEW: Final = 1 << 17


class Begun:
    """The runs that the ledger in `directory` holds the START of, or held until that was pruned,
    and those added.

    Eight bytes a run: run ids are random, and a collector's have to be kept for as long as it
    lives. Reads headers only. `flaw` says why it could not read to the end, if it could not.

    >>> begun = Begun("/no/such/ledger")
    >>> begun.add(bytes(16)), bytes(16) in begun, b"x" * 16 in begun
    (None, True, False)
    """

    __slots__ = ("_new", "_old", "flaw")

    def __init__(self, directory: str) -> None:
        found = array("Q")
        self.flaw = ""
        try:
            with Reader(directory) as reader:
                found.extend(former.runs(directory))
                for step in reader.found(whole=False):
                    if step[1] == START:
                        found.append(former.short(step[2]))
        except LedgerError as error:
            self.flaw = str(error)
        self._old = [array("Q", sorted(found))]
        self._new: set[int] = set()

    def __contains__(self, run: bytes) -> bool:
        short = former.short(run)
        return short in self._new or any(former.holds(one, short) for one in self._old)

    def add(self, run: bytes) -> None:
        """`run` begins now."""
        self._new.add(former.short(run))
        if len(self._new) > _MOST_NEW:
            self._old.append(array("Q", sorted(self._new)))
            self._new = set()

    def discard(self, run: bytes) -> None:
        """`run` was added and could not be recorded after all."""
        short = former.short(run)
        for one in self._old[1:] if short not in self._new else ():
            if former.holds(one, short):
                one.remove(short)
        self._new.discard(short)
