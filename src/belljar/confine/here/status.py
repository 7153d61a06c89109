"""The receipt of a process that confined itself.

Rows that are the Landlock tier's come from `status`; what is different within a running process
replaces them. What was there before the walls has rows of its own.
"""

from __future__ import annotations

from belljar.confine.here.held import told
from belljar.confine.status import MUST_BE_FULL, NAMES
from belljar.confine.status import status as of_a_guest
from belljar.model import Protection, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.confine.here.held import Descriptor, Held
    from belljar.confine.here.plan import Plan
    from belljar.confine.probe import Facts
    from belljar.model import Policy

OWN: Final = ("descriptors", "existing-threads", "shared-maps", "children", "terminal", "inherited")
MUST: Final = (*MUST_BE_FULL, "descriptors", "existing-threads")
HERE_NAMES: Final = (*NAMES, *OWN)
TIER: Final = "process"


class Kept:
    """The descriptors that stay, by who said so. The second time (`again`) all were judged."""

    def __init__(self, held: Held, keep: frozenset[int], close: bool, again: bool) -> None:
        self.again = again
        others = [d for d in held.descriptors if d.fd > 2 and d.fd not in keep]
        self.named = [d for d in held.descriptors if d.fd in keep]
        self.streams = [d for d in held.descriptors if d.fd <= 2 and d.fd not in keep]
        self.loose = [d for d in others if d.reaches] if not (close or again) else []
        self.listens = any(d.listens for d in held.descriptors if not close or d.fd in keep)
        self.to_close = [d.fd for d in others] if close else []

    def all(self) -> list[Descriptor]:
        """What is open afterwards and reaches something."""
        return [*self.streams, *self.named, *self.loose]


def receipt(policy: Policy, plan: Plan, facts: Facts, held: Held, kept: Kept, sync: bool) -> Status:
    """Every protection. `sync` says that Landlock takes all threads."""
    rows = {row.name: row for row in of_a_guest(policy, facts).protections}
    loose_threads = bool(held.threads) and not sync
    for row in (
        _files(rows["files"], held if loose_threads else None),
        _network(rows["network"], plan, facts),
        _processes(rows["processes"], policy, plan, facts),
        _wall(policy, plan, facts),
        Protection("output", "none", "", "its output goes straight to where its descriptors lead"),
        Protection("extensions", "none", "", "what is readable can be loaded"),
        Protection("bytecode", "none", "", "code is made here as before"),
        Protection("record", "none", *_record(policy)),
        Protection("os-info", "none", "", "this process has seen the machine"),
        _descriptors(kept),
        _threads(held, sync),
        _maps(held),
        _children(held),
        _terminal(kept),
        _inherited(),
    ):
        rows[row.name] = row
    for name, why in (
        ("block", "modules are imported as before"),
        ("builtins", "built-ins are as before"),
    ):
        if name in rows:
            rows[name] = Protection(name, "none", "", why)
    rows.pop("connections", None)
    order = {name: at for at, name in enumerate((*MUST, *HERE_NAMES))}
    return Status(TIER, tuple(sorted(rows.values(), key=lambda row: order[row.name])))


def _files(row: Protection, loose: Held | None) -> Protection:
    if row.level == "full" and loose is not None:
        why = f"Landlock does not hold the other threads: {told(loose.threads)}"
        return Protection("files", "partial", row.by, why)
    return row


def _network(row: Protection, plan: Plan, facts: Facts) -> Protection:
    if not plan.ports or row.level == "none":
        return Protection(row.name, row.level, "seccomp, Landlock", row.reason)
    if facts.abi < 4:
        return Protection("network", "none", "", "this kernel's Landlock knows no ports (ABI 4)")
    why = "granted TCP ports are open at every address"
    if any(grant.right == "bind" for grant in plan.ports):
        why += "; who may listen at one port may at any free one, and accepts from all"
    return Protection("network", "partial", "seccomp, Landlock TCP ports", why)


def _processes(row: Protection, policy: Policy, plan: Plan, facts: Facts) -> Protection:
    if policy.limits.processes <= 1 and not plan.programs:
        return row
    if not facts.refused("signal"):
        return Protection("processes", "none", "", "the probe got through")
    why = "children are confined as this process is, but not counted, and outlive it"
    if plan.programs:
        why += "; the loader runs whatever can be read"
    return Protection("processes", "partial", "seccomp, Landlock", why)


def _wall(policy: Policy, plan: Plan, facts: Facts) -> Protection:
    if not watched(policy):
        return Protection("wall", "none", "", "accepted, so no timer was set")
    by = "a timer of the kernel's that kills this process, and that seccomp keeps it from stopping"
    if facts.ended_ms < 0:
        return Protection("wall", "none", by, "the probe got through")
    if policy.limits.processes > 1 or plan.programs:
        return Protection("wall", "partial", by, "children live on")
    return Protection("wall", "full", by, f"{policy.limits.wall:g} s from here")


def watched(policy: Policy) -> bool:
    """Whether a timer is to be set: not where its lack is accepted and nobody gave a time."""
    return "wall" not in policy.accept_partial or "limits.wall" in dict(policy.given)


def _record(policy: Policy) -> tuple[str, str]:
    if policy.ledger == "none":
        return "", "nothing is kept, as asked"
    return (
        "one entry, written before the walls; the ledger cannot be reached from within them",
        "what this process does afterwards is not recorded: `belljar watch` does from outside",
    )


def _descriptors(kept: Kept) -> Protection:
    by = "listed from procfs before the walls"
    if kept.again:
        why = "the first call's receipt lists them; what was opened since, its walls allow"
        return Protection("descriptors", "full", by, why)
    streams = f"streams {told(d.what for d in kept.streams)}" if kept.streams else "no streams"
    named = f"; kept as asked: {told(d.what for d in kept.named)}" if kept.named else ""
    if kept.loose:
        why = f"open and not named: {told(d.what for d in kept.loose)}"
        return Protection("descriptors", "partial", by, f"{why}; {streams}{named}")
    return Protection("descriptors", "full", by, streams + named)


def _threads(held: Held, sync: bool) -> Protection:
    if not held.threads:
        return Protection("existing-threads", "full", "there are no others")
    names = told(held.threads)
    if sync:
        by = "seccomp and Landlock take all threads at once"
        return Protection("existing-threads", "full", by, names)
    return Protection(
        "existing-threads", "partial", "seccomp takes all threads",
        f"Landlock and dropped capabilities are this thread's alone, not those of {names}",
    )  # fmt: skip


def _maps(held: Held) -> Protection:
    if not held.maps:
        return Protection("shared-maps", "full", "no writable shared mapping was there")
    why = f"who shares them sees what is written: {told(held.maps)}"
    return Protection("shared-maps", "none", "", why)


def _children(held: Held) -> Protection:
    if not held.children:
        return Protection("children", "full", "there were none")
    why = f"not confined, and only cut off from signals: {told(held.children)}"
    return Protection("children", "none", "", why)


def _terminal(kept: Kept) -> Protection:
    found = [d.what for d in kept.all() if d.terminal]
    if not found:
        return Protection("terminal", "full", "no descriptor is one; others cannot be opened")
    why = f"what is typed can be read, and its screen written: {told(found)}"
    return Protection("terminal", "partial", "seccomp: no TIOCSTI, no settings", why)


def _inherited() -> Protection:
    import os
    import sys

    native = "; ctypes is loaded" if "_ctypes" in sys.modules else ""
    return Protection(
        "inherited", "none", "",
        f"what it knew it knows: {len(os.environ)} variables, {len(sys.modules)} modules, its "
        f"memory{native}",
    )  # fmt: skip
