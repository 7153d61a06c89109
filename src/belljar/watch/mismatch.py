"""Events of applications whose arguments are not what their distribution declares."""

from __future__ import annotations

from belljar.events import declared
from belljar.watch.findings import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from belljar.model import Event


class Mismatches:
    """Counts them by the event's name, of which no more are declared than `declared` reads.

    What is declared says which argument a rule compares: where the arguments are others, no rule
    means what its author thought. That is a finding, once for each name.
    """

    def __init__(self) -> None:
        self._found: dict[str, tuple[str, int]] = {}  # how it differed first, how often any

    def look(self, event: Event) -> bool:
        """Do the arguments of `event` differ from what is declared? Then that is counted."""
        why = declared.mismatch(event.name, event.args)
        if why:
            first, count = self._found.get(event.name, (why, 0))
            self._found[event.name] = (first, count + 1)
        return bool(why)

    def findings(self) -> list[Finding]:
        """One for each name, in the order that they were met in; `first` is how often."""
        found = []
        for name, (why, count) in self._found.items():
            event = declared.declaration(name)
            whose = event.distribution if event is not None else "its distribution"
            times = f", {count} times" if count > 1 else ""
            text = f"{name} is not raised as {whose} declares it{times}: {why}"
            found.append(Finding("mismatch", 0, count, 0, text))
        return found
