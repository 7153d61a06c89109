"""How much is looked at, for a whole run, to tell whose a file is.

A program names any file as its code's, so that each of these bounds will be tried. What is beyond
one gets no distribution's name.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_MOST: Final = {
    "archive": 16,  # regular files opened as one
    "distribution": 20_000,
    "name": 500_000,  # entries of directories, and lines of RECORDs
    "byte": 64 << 20,  # read of all files together
}
_LONGEST: Final = 20.0  # seconds of looking, all together


class Budget:
    """What is left; of each kind `take` gives no more than that.

    >>> budget = Budget()
    >>> budget.take("archive", 10), budget.take("archive", 10), budget.take("archive", 10)
    (10, 6, 0)
    """

    def __init__(self) -> None:
        self._left = dict(_MOST)
        self._seconds = _LONGEST
        self._began: float | None = None

    def left(self, kind: str) -> int:
        """How many there may yet be; none once the time is up."""
        return 0 if self.late() else self._left[kind]

    def take(self, kind: str, many: int = 1) -> int:
        """Spend `many`, or what is left."""
        many = min(many, self.left(kind))
        self._left[kind] -= many
        return many

    def begin(self) -> None:
        """The time runs from here."""
        self._began = time.monotonic()

    def end(self) -> None:
        """To here."""
        if self._began is not None:
            self._seconds -= time.monotonic() - self._began
            self._began = None

    def late(self) -> bool:
        """Is the time up?"""
        spent = 0.0 if self._began is None else time.monotonic() - self._began
        return spent >= self._seconds
