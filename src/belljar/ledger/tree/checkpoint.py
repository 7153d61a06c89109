"""Checkpoints: the text of a signed note that says how large a log is and what its root is.

C2SP tlog-checkpoint. Ours carry two extension lines, `belljar epoch N` and `belljar time T`.
"""

from __future__ import annotations

import binascii

from belljar.ledger.tree.merkle import MAX_SIZE, SIZE
from belljar.ledger.tree.note import NoteMalformed
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

#: The files of a ledger that hold checkpoints.
NAME: Final = "checkpoint"
EPOCHS: Final = "epochs"
_MOST_LINES: Final = 64


class Checkpoint(Value):
    """A log's size and root at one moment, as its origin says them.

    >>> Checkpoint("example.com/log", 0, bytes(32)).render().split("\\n")[:2]
    ['example.com/log', '0']
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def render(self) -> str:
        """The note's text. Raises `ValueError` for what no checkpoint can say."""
        lines = (self.origin, *self.extensions)
        if any(not line or "\n" in line for line in lines):
            raise ValueError("the lines of a checkpoint are not empty")
        if not 0 <= self.size <= MAX_SIZE or len(self.root) != SIZE:
            raise ValueError("a checkpoint has a size and a root of 32 bytes")
        root = binascii.b2a_base64(self.root, newline=False).decode()
        head = f"{self.origin}\n{self.size}\n{root}\n"
        return head + "".join(f"{line}\n" for line in self.extensions)

    @property
    def epoch(self) -> int | None:
        """N of the line `belljar epoch N`, None without it."""
        return self._number("belljar epoch ")

    @property
    def time(self) -> int | None:
        """T of the line `belljar time T`, nanoseconds since 1970; None without it."""
        return self._number("belljar time ")

    def _number(self, before: str) -> int | None:
        for line in self.extensions:
            if line.startswith(before):
                return whole(line.removeprefix(before))
        return None


def ours(origin: str, size: int, root: bytes, epoch: int, time: int) -> Checkpoint:
    """The checkpoint of one of our ledgers: `time` in nanoseconds since 1970."""
    lines = (f"belljar epoch {epoch}", f"belljar time {time}")
    return Checkpoint(origin, size, root, lines)


def parse(text: str) -> Checkpoint:
    """What a checkpoint's text says. Raises `NoteMalformed` unless it is exactly as it must be.

    >>> parse("example.com/log\\n0\\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\\n").size
    0
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop() or not all(lines):
        raise NoteMalformed("not a checkpoint: expected origin, size and root, a line each")
    if len(lines) > _MOST_LINES:
        raise NoteMalformed(f"a checkpoint has at most {_MOST_LINES} lines here")
    origin, size, root, *extensions = lines
    leaves = whole(size)
    if leaves is None:
        raise NoteMalformed("not a checkpoint: its second line is not the size of a tree")
    try:
        found = binascii.a2b_base64(root.encode("ascii"), strict_mode=True)
    except (ValueError, binascii.Error) as error:
        raise NoteMalformed("not a checkpoint: its third line is not base64") from error
    if len(found) != SIZE or binascii.b2a_base64(found, newline=False).decode() != root:
        raise NoteMalformed("not a checkpoint: its third line is not a hash of 32 bytes")
    return Checkpoint(origin, leaves, found, tuple(extensions))


def whole(text: str) -> int | None:
    """The number that `text` is: ASCII decimal, no leading zero, below 2**63; else None."""
    if (
        not text.isascii()
        or not text.isdigit()
        or len(text) > 19
        or (text[0] == "0" and text != "0")
    ):
        return None
    number = int(text)
    return number if number <= MAX_SIZE else None
