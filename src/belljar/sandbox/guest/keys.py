"""Keys of dicts and items of sets that the other side chose, at a cost like that of their bytes.

Part of the live guest's first lines, and read by the host too; runs on any CPython from 3.8.
"""

import posix
import sys
from _operator import eq
from time import thread_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SAME = 64  # different keys of one dict or set with equal hashes
MOST_FROZEN = 16384  # items of a frozen set that are not texts: it cannot be filled piece by piece
_MANY = 2048  # keys from here on are put in piece by piece, with an eye on the clock
_PIECE = 128
_SLOW = 3e-4  # seconds of this thread for a piece, beyond what its hashes take

TEXTS = frozenset((str, bytes))
#: Texts are hashed with a secret of this process: nobody makes them meet.
_SECRET = (
    sys.flags.hash_randomization == 1
    and posix.environ.get(b"PYTHONHASHSEED", b"random") == b"random"
)


class Malformed(Exception):
    """The bytes are not a value in this format."""


def watched(r: "Any", keys: "list[Any]", frozen: bool) -> bool:
    """Raises Malformed if too many of `keys` have equal hashes; says whether they must be put in
    by `put_in`. `frozen`: there are frozen sets among them, and `r.same` is what is left."""
    n = len(keys)
    if (n <= SAME and not frozen) or (_SECRET and TEXTS.issuperset(map(type, keys))):
        return False
    hashes = sorted(map(hash, keys))
    if frozen:  # comparing sets of sets multiplies what equal hashes cost
        r.same -= sum(map(eq, hashes, hashes[1:]))
    if r.same < 0 or any(map(eq, hashes, hashes[SAME:])):
        raise Malformed("too many keys have the same hash")
    return n >= _MANY


def put_in(made: "Any", keys: "list[Any]", values: "list[Any] | None" = None) -> "Any":
    """Fill a set or dict. Unequal hashes can still be made to meet in its table, by whoever knows
    its size: nothing but time tells. Raises Malformed."""
    for i in range(0, len(keys), _PIECE):
        piece = keys[i : i + _PIECE]
        start = thread_time()
        made.update(piece if values is None else zip(piece, values[i : i + _PIECE]))  # noqa: B905
        if thread_time() - start >= _SLOW and _meet(made, piece):
            raise Malformed("the keys are made to meet in the table")
    return made


def _meet(made: "Any", keys: "list[Any]") -> bool:
    """Whether finding the keys takes long: asked thrice, for the table's growth, a collection or a
    signal does not come thrice."""
    for _ in range(3):
        start = thread_time()
        for key in keys:
            hash(key)
        hashed = thread_time()
        for key in keys:
            _ = key in made
        if thread_time() - hashed - (hashed - start) < _SLOW:
            return False
    return True
