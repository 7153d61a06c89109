"""What a cross-check found: values for `report.coverage` to show."""

from __future__ import annotations

from belljar.model import Frame, Value


class Row(Value):
    """One kind of call: `seen` are all, `explained` those that an event announced, `attributed`
    those that are known to have none (start-up, the C library, programs that are not Python),
    `unexplained` the rest.
    """

    kind: str
    seen: int
    explained: int
    attributed: int
    unexplained: int

    @property
    def percent(self) -> float | None:
        """Explained ones, of those that an event could explain; None where there are none."""
        due = self.explained + self.unexplained
        return 100 * self.explained / due if due else None


class Unexplained(Value):
    """A group of calls that no event explains: the first of them, and how many.

    `frame` is where Python was last seen before it, and `last` that event's name: in that thread,
    or, where `elsewhere`, in another one of the process or in its parent. `after` is where the
    thread was seen next. `program` is what the process runs, where that is known; `frames` the
    whole stack of `frame`, innermost first, where the record has it.
    """

    kind: str
    call: str
    target: str
    pid: int
    thread: int
    time: int
    count: int = 1
    last: str = ""
    frame: Frame | None = None
    elsewhere: bool = False
    after: Frame | None = None
    program: str = ""
    frames: tuple[Frame, ...] = ()


class Coverage(Value):
    """What a cross-check found. `explained` and `attributed` are (kind, reason, count), `others`
    (program, kind, count) of programs that are not Python; `more` counts unexplained calls beyond
    those in `unexplained`.
    """

    rows: tuple[Row, ...]
    explained: tuple[tuple[str, str, int], ...]
    attributed: tuple[tuple[str, str, int], ...]
    unexplained: tuple[Unexplained, ...]
    others: tuple[tuple[str, str, int], ...]
    more: int = 0
