"""What a cross-check found: values for `report.coverage` to show."""

from __future__ import annotations

from collections import Counter

from belljar.events.syscalls import KINDS
from belljar.model import Frame, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from belljar.watch.unexplained import Groups

    Pairs = Counter[tuple[str, str]]


class Row(Value):
    """One kind of call: `seen` are all, `explained` those that an event announced, `attributed`
    those that are known to have none (start-up, the C library, programs that are not Python),
    `unexplained` the rest. Of the rest, `recorded` are in the record all the same, because the
    recorder saw them go through the C library.
    """

    kind: str
    seen: int
    explained: int
    attributed: int
    unexplained: int
    recorded: int = 0

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
    whole stack of `frame`, innermost first, where the record has it; `recorded` the recorder's
    own event that tells of the call.
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
    recorded: str = ""


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


def assemble(
    seen: Counter[str], explained: Pairs, attributed: Pairs, others: Pairs, groups: Groups
) -> Coverage:
    """The coverage from what was counted: by kind; by kind and reason; by program and kind."""
    by_event, by_nature = _by_kind(explained), _by_kind(attributed)
    rows = [
        Row(
            kind, seen[kind], by_event[kind], by_nature[kind],
            groups.counts[kind], groups.recorded[kind],
        )
        for kind in KINDS
        if seen[kind]
    ]  # fmt: skip
    found = groups.found()
    return Coverage(
        tuple(rows), _flat(explained), _flat(attributed), found, _flat(others), groups.more
    )


def _by_kind(counts: Pairs) -> Counter[str]:
    kinds: Counter[str] = Counter()
    for (kind, _), count in counts.items():
        kinds[kind] += count
    return kinds


def _flat(counts: Pairs) -> tuple[tuple[str, str, int], ...]:
    return tuple((one, other, n) for (one, other), n in sorted(counts.items()))
