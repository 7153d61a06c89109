"""The system calls that no event explains, grouped by what and where."""

from __future__ import annotations

from collections import Counter

from belljar.watch.coverage import Unexplained

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.events.syscalls import Syscall
    from belljar.model import Frame
    from belljar.watch.match import Seen

_MOST_GROUPS: Final = 2000


class Groups:
    """Takes calls; `counts` are all by kind, `recorded` those of them that the recorder saw by
    itself, `more` those that are in none of `found`.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.recorded: Counter[str] = Counter()
        self.more = 0
        self._groups: dict[tuple[str, ...], Unexplained] = {}
        self._times: Counter[tuple[str, ...]] = Counter()

    def add(
        self,
        call: Syscall,
        seen: Seen | None,
        elsewhere: bool,
        after: Seen | None,
        program: str,
        recorded: str,
    ) -> None:
        """One call. `seen` is the event before it, in another thread or process if `elsewhere`;
        `after` the next one of its thread; `recorded` the recorder's event for it, or "".
        """
        self.counts[call.kind] += 1
        self.recorded[call.kind] += bool(recorded)
        frames = _frames(seen)
        frame = nearest(frames)
        where = f"{frame.file}:{frame.line}" if frame is not None else ""
        key = (call.kind, call.name, call.target, str(call.pid), where)
        if key in self._groups:
            self._times[key] += 1
        elif len(self._groups) >= _MOST_GROUPS:
            self.more += 1
        else:
            self._times[key] = 1
            self._groups[key] = Unexplained(
                call.kind, call.name, call.target, call.pid, call.thread, call.time, 1,
                seen.name if seen is not None else "", frame, elsewhere,
                nearest(_frames(after)), program, frames, recorded,
            )  # fmt: skip

    def lost(self, kind: str, count: int) -> None:
        """Calls that nothing is known of but their number."""
        self.counts[kind] += count
        self.more += count

    def found(self) -> tuple[Unexplained, ...]:
        """The groups, in the order of their first calls."""
        return tuple(group.replace(count=self._times[key]) for key, group in self._groups.items())


def nearest(frames: tuple[Frame, ...]) -> Frame | None:
    """The innermost frame outside the standard library; where there is none, the innermost."""
    for frame in frames:
        if not _is_standard(frame.file):
            return frame
    return frames[0] if frames else None


def _is_standard(file: str) -> bool:
    if file.startswith("<frozen"):
        return True
    if "/site-packages/" in file or "/dist-packages/" in file:
        return False
    _, found, rest = file.rpartition("/lib/python")
    return bool(found) and rest[:2] == "3."


def _frames(seen: Seen | None) -> tuple[Frame, ...]:
    event = seen.event if seen is not None else None
    if event is None:
        return ()
    return event.frames or event.stack
