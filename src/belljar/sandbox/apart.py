"""Overlays and appended files of a run, where it has any: most have none, and import nothing."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from belljar.confine.appended import Appended, Folder, Pipe
    from belljar.confine.overlay import Overlay, Overlays
    from belljar.model import Grant, Policy


class Nothing:
    """What both are where nothing was asked for."""

    made: tuple[Overlay, ...] = ()
    waiting: tuple[tuple[str, str], ...] = ()
    pipes: tuple[Pipe, ...] = ()
    folders: tuple[Folder, ...] = ()

    def __init__(self) -> None:
        self.fds: dict[int, int] = {}

    def __enter__(self) -> Nothing:
        return self

    def __exit__(self, *_exception: object) -> None:
        return

    def take(self, _fd: int) -> bool:
        """There is no pipe."""
        return True

    def finish(self) -> None:
        """There is nothing to finish."""


def overlays(policy: Policy, tier: str, run_id: bytes) -> Overlays | Nothing:
    """The overlays of `policy`; raises as `Overlays` does."""
    if not policy.overlay:
        return Nothing()
    from belljar.confine.overlay import Overlays

    return Overlays(policy, tier, run_id)


def appended(policy: Policy, tier: str, directory: str) -> Appended | Nothing:
    """The files that are only added to; raises as `Appended` does."""
    if not any(grant.right == "append" for grant in policy.grants):
        return Nothing()
    from belljar.confine.appended import Appended

    return Appended(policy, tier, directory)


def planted(
    before: dict[str, tuple[int, ...] | None], grants: tuple[Grant, ...], since: int
) -> tuple[str, ...]:
    """What `confine.planted` finds, where anything could be written."""
    if not any(grant.right in ("write", "append") for grant in grants):
        return ()
    from belljar.confine.planted import planted as written

    return written(before, grants, since)
