"""The lines of a learned policy, and what is counted on the way to them."""

from __future__ import annotations

from belljar.events.paths import covers
from belljar.model import Policy, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

PLACES_KEPT: Final = 3


class Item(Value):
    """One line of a policy and what needed it.

    `key` is the key it belongs to, `value` what it grants. `withheld` says why it is only
    proposed, `denied` that a sandbox refused it, `origin` where an older policy had it. `places`
    are `file:line` of the program, the most frequent first; text from the program.
    """

    key: str
    value: str
    count: int = 0
    places: tuple[str, ...] = ()
    withheld: str = ""
    denied: bool = False
    note: str = ""
    origin: str = ""
    source: str = ""
    optional: bool = False


class Learned(Value):
    """A policy, its lines, and what was left out: (right, target) to the reason."""

    policy: Policy
    items: tuple[Item, ...]
    left: dict[tuple[str, str], str]
    notes: tuple[str, ...]


class Want:
    """One right on one target, however often it was asked for."""

    __slots__ = ("count", "denied", "files", "names", "places", "through")

    def __init__(self) -> None:
        self.count = 0
        self.denied = False
        self.names: set[str] = set()
        self.places: dict[str, int] = {}
        self.files: set[str] = set()
        self.through: list[str] = []  # what was asked for, where the grant is of more

    def merge(self, other: Want) -> None:
        """Take over what `other` counted."""
        self.count += other.count
        self.denied |= other.denied
        self.names |= other.names
        self.files |= other.files
        self.through += [t for t in other.through if t not in self.through][:PLACES_KEPT]
        for place, times in other.places.items():
            self.places[place] = self.places.get(place, 0) + times


def item_of(key: str, value: str, want: Want, *, withheld: str = "", note: str = "") -> Item:
    most = sorted(want.places, key=lambda place: -want.places[place])
    if want.through:
        note = f"the directory, because of {', '.join(want.through[:2])}"
        note += " and more" if len(want.through) > 2 else ""
    if want.denied:
        note = f"{note}; was denied" if note else "was denied"
    places = tuple(most[:PLACES_KEPT])
    return Item(key, value, want.count, places, withheld, want.denied, note)


def drop_covered(drafts: dict[tuple[str, str], Want]) -> None:
    """Grants that a directory's grant of the same key includes."""
    for key in ("read", "write"):
        around: list[str] = []
        for value in sorted((v for k, v in drafts if k == key), key=lambda v: v.split("/")):
            if around and covers(around[-1], value):
                drafts[key, around[-1]].merge(drafts.pop((key, value)))
            else:
                around.append(value)
