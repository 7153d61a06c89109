"""Paths of a guest by the host's names, where a person reads them."""

from __future__ import annotations

from belljar.model import Decision, Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    Pairs = tuple[tuple[str, str], ...]
    Found = tuple[Event, Decision, str, str, str]

_IMAGE = "/python"


def host_path(target: str, mapped: Pairs) -> str:
    """What the host calls `target`; `mapped` is (guest, host), the deepest first.

    >>> host_path("/in/a", (("/in", "/data"),))
    '/data/a'
    """
    for guest, host in mapped:
        if target == guest or target.startswith(guest + "/"):
            return host + target[len(guest) :]
    return target


def of_the_image(mapped: Pairs) -> Pairs:
    """Those that stand for a runtime image."""
    return tuple(pair for pair in mapped if pair[0] == _IMAGE or pair[0].startswith(_IMAGE + "/"))


def by_host(row: Found, image: Pairs) -> Found:
    """A decision with what lies in the image by the host's names; the event itself is recorded
    as the guest has it."""
    event, decision, right, target, kind = row
    stack = tuple(f.replace(file=host_path(f.file, image)) for f in event.stack)
    frames = tuple(f.replace(file=host_path(f.file, image)) for f in event.frames)
    event = event.replace(stack=stack, frames=frames)
    return event, decision, right, host_path(target, image), kind


def advised(event: Event, decision: Decision, image: Pairs) -> Decision:
    """A denial in the image with a remedy that works: grants go by the host's names."""
    target = event.target or ""
    host = host_path(target, image)
    if host == target:
        return decision
    if event.right in ("write", "append"):
        because = "the runtime is read-only in the guest"
        return decision.replace(because=because, remedy="", grant=None)
    return decision.replace(remedy=decision.remedy.replace(target, host))
