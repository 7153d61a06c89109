"""Where a guest finds its runtime, and what that is on the host."""

from __future__ import annotations

from belljar.confine.runtime import Runtime
from belljar.model import Value


class Shown(Value):
    """`inner` is the runtime by the guest's names. `trees` are what is mounted for it, as (guest,
    host), outermost first; none where the host's own paths are shown, and `why` says why that is.
    `mapped` tells what of the host each guest path stands for."""

    inner: Runtime
    trees: tuple[tuple[str, str], ...] = ()
    mapped: tuple[tuple[str, str], ...] = ()
    why: str = ""

    def guest(self, path: str) -> str:
        """The guest's name of a path in the host's runtime."""
        for guest, host in self.mapped:
            if path == host or path.startswith(host + "/"):
                return guest + path[len(host) :]
        return path

    def source(self, path: str) -> str:
        """The host's file that the guest sees at `path`."""
        for guest, host in reversed(self.trees):
            if path == guest or path.startswith(guest + "/"):
                return host + path[len(guest) :]
        return path


def as_it_is(runtime: Runtime, why: str = "") -> Shown:
    """The host's own paths, and why."""
    return Shown(runtime, why=why)
