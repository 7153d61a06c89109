"""The receipt: what holds for this policy on this machine, from what the probe saw.

DESIGN.md divides protections in two. Those of `MUST_BE_FULL` are full or nothing starts,
unless `accept-partial` names them (but for `processes` where a policy asks for several: their
number is partial); the rest may be partial and is told in the receipt, and
`require` turns them into the first kind.
"""

from __future__ import annotations

import sys

from belljar.confine.probe import Facts
from belljar.errors import PolicyError, Unenforceable
from belljar.model import Policy, Protection, Status
from belljar.policy.modules import UNSAFE_MODULES

MUST_BE_FULL = ("files", "network", "processes", "syscalls", "wall", "output")
NAMES = (*MUST_BE_FULL, "names", "memory", "cpu", "threads", "open-files", "disk", "extensions",
         "block", "bytecode", "builtins", "connections", "net-info", "os-info", "rules", "record",
         "overlay")  # fmt: skip


def status(
    policy: Policy,
    facts: Facts,
    inside: tuple[str, ...] = (),
    grouped: str = "",
    shown: str = "",
) -> Status:
    """Every protection with its level, its wall, and why it is not full. `inside` are unsafe
    modules that are built into the interpreter (`modules.inside`); `grouped` what `cgroup.join`
    said; `shown` why the runtime keeps the host's paths, where it does."""
    isolated = facts.tier != "landlock"
    rows = [
        _files(facts, isolated),
        _names(policy, facts, isolated, shown),
        _network(policy, facts, isolated),
        _processes(policy, facts),
        _syscalls(policy, facts),
        _row("wall", facts.ended_ms >= 0, "the host's clock ends init, and init's end all of it"),
        _output(policy, facts),
        *_whole(facts, grouped),
        _threads(policy, facts, isolated),
        _row("open-files", facts.refused("descriptors"), "RLIMIT_NOFILE"),
        _some(
            "disk", facts.refused("filesize", *(("disk",) if isolated else ())),
            "size of the private tmpfs, RLIMIT_FSIZE" if isolated else "RLIMIT_FSIZE",
            "bounds each file; the sum only of private ones" if isolated else "bounds each file",
        ),
        _extensions(policy, facts, isolated, inside),
        *_block(policy, isolated),
        Protection(
            "bytecode", "none", "import guard and audit hook (windows)",
            "granted by the policy" if policy.bytecode else "native code or a trick can make it",
        ),
        *_builtins(policy),
        *_connections(policy),
        _net_info(policy, isolated),
        Protection(
            "os-info", "none", "" if policy.os_info else "neutral answers in Python (a window)",
            "granted by the policy" if policy.os_info else "C code asks the kernel and the CPU",
        ),
        *_rules(policy),
        *_overlay(policy, isolated),
        _record(policy),
    ]  # fmt: skip
    return Status(facts.tier, tuple(rows), "; ".join(facts.why))


def enforce(
    policy: Policy,
    receipt: Status,
    known: tuple[str, ...] = NAMES,
    must: tuple[str, ...] = MUST_BE_FULL,
    accept: str = "--accept-partial {}",
) -> None:
    """Raise `Unenforceable` where the receipt is less than the policy needs, `PolicyError` for
    names of protections that do not exist. `accept` is what a person writes to accept one."""
    for key, names in (
        ("enforce.require", policy.require),
        ("enforce.accept-partial", policy.accept_partial),
    ):
        for name in names:
            if name not in known:
                raise PolicyError(
                    policy.origin(key),
                    f"no protection is called {name!r}; there are {', '.join(known)}",
                )
    for row in receipt.protections:
        if row.level == "full" or row.name in policy.accept_partial:
            continue
        if row.name in policy.require or (row.name == "names" and policy.names == "hidden"):
            named = row.name in policy.require
            asked, place = ("required", "`require`") if named else ("to be hidden", "the policy")
            raise Unenforceable(
                row.name, f"{asked}, and only {row.level} here: {row.reason or row.by}",
                f"drop it from {place}, or use a machine that can",
            )  # fmt: skip
        several = known is NAMES and row.name == "processes" and _several(policy)
        counted = several and row.level == "partial"
        if row.name in must and not counted:  # what holds them is whole; asked for, and told
            raise Unenforceable(
                row.name, f"only {row.level} here: {row.reason or row.by}",
                f"fix the cause, or accept it with {accept.format(row.name)}",
            )  # fmt: skip


def _row(name: str, full: bool, by: str, reason: str = "") -> Protection:
    return (
        Protection(name, "full", by, reason)
        if full
        else Protection(name, "none", by, "the probe got through")
    )


def _some(name: str, held: bool, by: str, reason: str) -> Protection:
    if held:
        return Protection(name, "partial", by, reason)
    return Protection(name, "none", by, "the probe got through")


def _whole(facts: Facts, grouped: str) -> tuple[Protection, Protection]:
    """Memory and processor time: of all processes together only in a control group."""
    data = "RLIMIT_DATA, RLIMIT_AS; memfd refused"
    if grouped == "cgroup v2" and facts.refused("memory", "memfd", "cpu"):
        return (
            Protection("memory", "full", f"{grouped} (memory.max for all of it), {data}"),
            Protection("cpu", "full", f"{grouped} (cpu.stat of all of it: the host ends it)"),
        )
    why = f"no cgroup ({grouped})" if grouped else "no cgroup"
    level = "partial" if facts.refused("memory", "memfd") else "none"
    shared = f"{why}: shared mappings count only against four times the limit"
    return (
        Protection("memory", level, data, shared),
        _some("cpu", facts.refused("cpu"), "RLIMIT_CPU", f"{why}: counted for each process"),
    )


def for_calls(receipt: Status) -> Status:
    """The receipt of a live guest, whose clocks count for each call: nothing in the kernel can, so
    the host measures from outside and ends the guest."""
    wall = "the host's clock, for each call, ends init, and init all of it"
    why = "a host that is stuck counts nothing, and the guest can put SIGXCPU off"
    rows = {row.name: row for row in receipt.protections}
    rows["wall"] = rows["wall"].replace(by=wall)
    if rows["cpu"].level != "none":
        by = "CPU clocks that the host reads, RLIMIT_CPU"
        rows["cpu"] = Protection("cpu", "partial", by, why)
    return receipt.replace(protections=tuple(rows.values()))


def for_branches(receipt: Status, branches: int) -> Status:
    """The receipt of a live guest that may have so many branches."""
    rows = {row.name: row for row in receipt.protections}
    each = f"it holds for each of {branches} branches by itself"
    for name in ("memory", "cpu"):
        if rows[name].level != "none":
            why = "; ".join(filter(None, (rows[name].reason, each)))
            rows[name] = rows[name].replace(level="partial", reason=why)
    if rows["processes"].level == "full":
        rows["processes"] = rows["processes"].replace(
            by=f"{rows['processes'].by}; RLIMIT_NPROC",
            reason=f"it can make copies of itself, {branches} at a time and nothing else; the host "
            "ends those that it did not ask for",
        )
    if rows["threads"].level == "full":
        why = "counted together with branches"
        rows["threads"] = rows["threads"].replace(level="partial", reason=why)
    return receipt.replace(protections=tuple(rows.values()))


def for_forked(receipt: Status, policy: Policy, loaded: frozenset[str]) -> Status:
    """The receipt of a guest whose template has `loaded` these: some that it may not import."""
    granted = {g.target for g in policy.grants if g.right == "import"}
    unsafe = sorted(
        n for n, grant in UNSAFE_MODULES.items() if n in loaded and grant not in granted
    )
    why = f"the template has imported {', '.join(unsafe)}, and the guest can reach it there"
    rows = (
        row.replace(level="partial", reason=why)
        if unsafe and row.name == "extensions" and row.level == "full" else row
        for row in receipt.protections
    )  # fmt: skip
    told = (
        row.replace(reason="; ".join(filter(None, (row.reason, _OF_THE_TEMPLATE))))
        if row.name == "processes" else row
        for row in rows
    )  # fmt: skip
    return receipt.replace(protections=tuple(told))


_OF_THE_TEMPLATE = (
    "address layout, hash secret and locks on the runtime's files are those of all guests of its "
    "template"
)


def _syscalls(policy: Policy, facts: Facts) -> Protection:
    by = "seccomp allow-list, no_new_privs, no capabilities"
    held = facts.refused("privileges", "ptrace", "namespace", "memfd")
    if held and policy.devices and "syscalls" in policy.accept_partial:
        why = "requests to drivers (ioctl) are open for the granted devices"
        return Protection("syscalls", "partial", by, why)
    return _row("syscalls", held, by)


def _files(facts: Facts, isolated: bool) -> Protection:
    by = (
        "pivoted root, read-only binds, Landlock ABI {}".format
        if isolated
        else "Landlock ABI {}, seccomp".format
    )
    held = facts.refused("read", "write", "create", "delete", "list", "chmod")
    return _row("files", held, by(facts.abi))


def _names(policy: Policy, facts: Facts, isolated: bool, shown: str) -> Protection:
    if policy.names == "visible":
        return Protection("names", "none", "", "granted by the policy")
    if not isolated or not facts.refused("name"):
        return Protection("names", "none", "", "without a mount namespace, stat() sees what exists")
    by = "pivoted root, no procfs"
    if shown:
        return Protection("names", "partial", by, f"the runtime keeps the host's paths: {shown}")
    return Protection("names", "full", f"{by}, a runtime image at /python")


def _network(policy: Policy, facts: Facts, isolated: bool) -> Protection:
    granted = _talks(policy)
    if not facts.refused("tcp", "udp", "unix", "netlink"):
        return Protection("network", "none", "", "the probe got through")
    by = "empty network namespace, seccomp" if isolated else "seccomp, Landlock"
    return Protection("network", "full", by + (f", {granted}" if granted else ""))


def _several(policy: Policy) -> bool:
    """More than one process is asked for."""
    return policy.limits.processes > 1 or any(g.right == "run" for g in policy.grants)


def _processes(policy: Policy, facts: Facts) -> Protection:
    if not facts.refused("fork", "exec", "signal"):
        return Protection("processes", "none", "", "the probe got through")
    if facts.tier == "landlock" and _several(policy):
        return Protection(
            "processes", "none", "seccomp",
            "without a PID namespace, children could outlive the run: one process is all",
        )  # fmt: skip
    if _several(policy):  # nor does a control group tell the two apart: it counts tasks
        return Protection(
            "processes", "partial", "PID namespace, Landlock execute, noexec mounts, RLIMIT_NPROC",
            "of their number only the sum with threads is bounded",
        )  # fmt: skip
    by = "seccomp, PID namespace" if facts.tier != "landlock" else "seccomp"
    return Protection("processes", "full", by)


def _output(policy: Policy, facts: Facts) -> Protection:
    loose = [n for n in ("stdout", "stderr") if getattr(policy, n) == "inherit"]
    if loose:
        return Protection(
            "output", "partial", "capture", f"{' and '.join(loose)} not captured, as asked"
        )
    return _row("output", facts.ended_ms >= 0, "the host counts and ends the guest")


def _threads(policy: Policy, facts: Facts, isolated: bool) -> Protection:
    if not isolated:
        return Protection(
            "threads", "none", "", "RLIMIT_NPROC would count the user's other processes"
        )
    if policy.limits.processes > 1 and facts.refused("threads"):
        return Protection("threads", "partial", "RLIMIT_NPROC", "counted together with processes")
    return _row("threads", facts.refused("threads"), "RLIMIT_NPROC of a user namespace")


def _extensions(
    policy: Policy, facts: Facts, isolated: bool, inside: tuple[str, ...]
) -> Protection:
    if policy.extensions == "all":
        return Protection("extensions", "none", "", "granted by the policy")
    named = [g.target for g in policy.grants if g.right == "import"]
    if isolated and facts.refused("native") and set(named) - sys.stdlib_module_names:
        return Protection(
            "extensions",
            "partial",
            "noexec mounts but for the runtime and what is named",
            "what is named may use ctypes, and the guest can reach it there",
        )
    if isolated and facts.refused("native") and inside:
        return Protection(
            "extensions", "partial", "noexec mounts but for the runtime and what is named",
            f"{', '.join(inside)} built into the interpreter: the guard alone holds it back",
        )  # fmt: skip
    if isolated and facts.refused("native"):
        return Protection(
            "extensions", "full", "noexec mounts but for the runtime and what is named"
        )
    return Protection("extensions", "none", "import guard (a window)", "needs a mount namespace")


def _block(policy: Policy, isolated: bool) -> tuple[Protection, ...]:
    if not policy.block:
        return ()
    if not isolated:
        why = "their files can be read and loaded by hand"
        return (Protection("block", "none", "import guard (a window)", why),)
    why = "what is built in or frozen has no file to cover; a guest may bring a copy of its own"
    return (Protection("block", "partial", "their files are covered by empty ones", why),)


def _builtins(policy: Policy) -> tuple[Protection, ...]:
    if policy.builtins == "all":
        return ()
    why = "objects lead to the other built-ins; what they could do meets the walls"
    return (Protection("builtins", "none", "the guest's own modules lack them (a window)", why),)


def _rules(policy: Policy) -> tuple[Protection, ...]:
    if any(rule.then in ("deny", "kill") for rule in policy.rules):
        why = "what a rule forbids is refused in the process itself: native code can step around it"
        return (Protection("rules", "none", "audit hook (a window)", why),)
    return ()


def _overlay(policy: Policy, isolated: bool) -> tuple[Protection, ...]:
    if not policy.overlay:
        return ()
    if isolated:
        return (Protection("overlay", "full", "overlayfs in the guest's mount namespace"),)
    return (Protection("overlay", "none", "", "needs a mount namespace, so it does not start"),)


def _record(policy: Policy) -> Protection:
    by = "native audit hook; pipe, or shared memory first for bulk"
    if policy.ledger == "none":
        by += "; nothing is kept"
    elif policy.must_log:
        by += f"; {', '.join(policy.must_log)} wait until the ledger has them"
    why = "a window: native code in the guest can silence it"
    return Protection("record", "partial", by, why)


def _net_info(policy: Policy, isolated: bool) -> Protection:
    if policy.net_info:
        return Protection("net-info", "none", "", "granted by the policy")
    if not isolated:
        return Protection(
            "net-info", "partial", "seccomp: no netlink, no interface requests; Landlock",
            "the kernel tells the host's name to whoever asks",
        )  # fmt: skip
    by = "network and host-name namespaces of its own, no procfs"
    if any(g.target.startswith("tcp:") for g in policy.grants if g.right in ("connect", "bind")):
        why = "a granted connection tells the host's own address"
        return Protection("net-info", "partial", by, why)
    return Protection("net-info", "full", by)


def _talks(policy: Policy) -> str:
    rights = {g.right for g in policy.grants}
    done = [w for r, w in (("connect", "connect"), ("bind", "bind and accept")) if r in rights]
    return f"mediated {' and '.join(done)}" if done else ""


def _connections(policy: Policy) -> tuple[Protection, ...]:
    if _talks(policy):
        return (Protection("connections", "full", "the keeper makes, accepts and counts them"),)
    return ()
