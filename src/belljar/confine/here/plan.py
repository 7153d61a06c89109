"""The plan of a process that confines itself: the Landlock tier's rules and limits, as words.

What cannot be expressed for a process that runs already is refused here, at its place in the
policy: nothing is taken that would not hold.
"""

from __future__ import annotations

import os
import resource

from belljar.confine import sensitive
from belljar.confine.here.held import memory
from belljar.confine.plan import DEVICES
from belljar.confine.runtime import Runtime, as_it_is
from belljar.confine.runtime_view import landmarks, system_libraries
from belljar.confine.settings import limits
from belljar.confine.view import View, add_grants
from belljar.confine.words import encode
from belljar.errors import PolicyError, Unenforceable
from belljar.model import Grant, Policy, Value

_ELSEWHERE = "`belljar run` can"


class Plan(Value):
    """The walls to be: `view` with the files, `words` without the limits, `ports` that were asked
    for, and the programs that may be run."""

    view: View
    words: tuple[str, ...]
    ports: tuple[Grant, ...]
    programs: tuple[str, ...]


def check(policy: Policy) -> None:
    """Raise `PolicyError` for what no wall of this process can give."""
    from belljar.confine.available import check as known

    given = dict(policy.given)
    for key, asked, why in (
        ("files.overlay", bool(policy.overlay), "an overlay is a mount of a new process"),
        ("process.devices", bool(policy.devices), "open it before, and name it in keep_fds"),
        ("process.stdin", policy.stdin not in ("null", "inherit"), "its streams are open"),
        ("process.stdout", policy.stdout not in ("capture", "inherit"), "its streams are open"),
        ("process.stderr", policy.stderr not in ("capture", "inherit"), "its streams are open"),
        ("record.must-log", "record.must-log" in given, "nobody outside answers its events"),
        ("record.sinks", bool(policy.sinks), "nothing is recorded after the first entry"),
        ("network.accept-from", bool(policy.accept_from), "Landlock knows ports, not peers"),
    ):  # fmt: skip
        if asked:
            raise PolicyError(
                policy.origin(key),
                f"{key}: not for a process that runs already ({why}); leave it out",
            )
    known(policy)
    for rule in policy.rules:
        if rule.then in ("deny", "kill"):
            raise PolicyError(
                rule.origin or "rule", f"then = {rule.then}: nobody outside judges this process; "
                f"{_ELSEWHERE}",
            )  # fmt: skip
    for grant in policy.grants:
        what = f"{grant.right} = {grant.target}"
        if grant.right == "append":
            raise PolicyError(
                grant.origin, f"{what}: Landlock has no such right; open the file for appending "
                "before, and name it in keep_fds",
            )  # fmt: skip
        if grant.right in ("read", "write", "list") and grant.source not in ("", grant.target):
            raise PolicyError(
                grant.origin, f"{what}: a process that runs already has the host's names"
            )


def make(policy: Policy, runtime: Runtime) -> Plan:
    """Rules for files, ports and programs. Raises `PolicyError` naming the grant."""
    view = View(isolated=False)
    for device, rights in DEVICES:
        view.allow(f"/dev/{device}", rights)
    system_libraries(view, as_it_is(runtime))
    own = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for path in landmarks(runtime):
        view.window[path] = "r"
    for path in (runtime.stdlib, runtime.dynload, *runtime.libraries, *runtime.site, own):
        if path:
            view.allow(path, "rl" if os.path.isdir(path) else "r")
    programs: list[str] = []
    if any(grant.right == "run" for grant in policy.grants):
        from belljar.confine.programs import locate

        for grant in policy.grants:
            if grant.right == "run":
                programs.append(locate(grant)[1])
                view.allow(programs[-1], "rx")
    found = add_grants(view, policy.grants)
    sensitive.check_own(tuple(found), sensitive.ours(runtime.site, runtime.program))
    view.land = {path: rights for path, rights in view.land.items() if os.path.exists(path)}
    ports = tuple(g for g in policy.grants if g.right in ("connect", "bind"))
    words: list[str] = []
    for grant in ports:
        word = "to-port" if grant.right == "connect" else "at-port"
        words += (word, str(_port(grant)))
    if policy.limits.processes > 1 or programs:
        words += ("allow", "fork")
    if programs:
        words += ("allow", "exec")
    return Plan(view, tuple(words), ports, tuple(programs))


def _port(grant: Grant) -> int:
    protocol, _, rest = grant.target.partition(":")
    port = rest.rpartition(":")[2]
    what = f"{grant.right} = {grant.target}"
    if protocol == "unix":
        raise PolicyError(
            grant.origin, f"{what}: nothing within a process holds it to one Unix socket; "
            f"connect before and name it in keep_fds; {_ELSEWHERE} mediate it",
        )  # fmt: skip
    if protocol != "tcp":
        raise PolicyError(
            grant.origin, f"{what}: datagrams can be sent to any address; {_ELSEWHERE} mediate them"
        )
    if not port.isdigit():
        raise PolicyError(grant.origin, f"{what}: Landlock needs a port; name each")
    return int(port)


def bounds(policy: Policy, *, again: bool) -> list[str]:
    """The limits, counted from here. Raises `Unenforceable` where it is beyond them already."""
    data, space = (0, 0) if again else memory()
    most = policy.limits.memory
    if data > most or space > 4 * most + (1 << 30):
        raise Unenforceable(
            "memory", f"this process has {data >> 20} MiB of data in {space >> 20} MiB already",
            f"allow it more than {most >> 20} MiB with memory=",
        )  # fmt: skip
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = used.ru_utime + used.ru_stime
    new = policy.limits.replace(cpu=policy.limits.cpu + spent)
    words = limits(policy.replace(limits=new), "landlock")
    if again:  # the filter of the first call keeps this one
        at = words.index("core") - 1
        del words[at : at + 4]
    return words


def tried(plan: Plan, canary: str, port: int) -> bytes:
    """The words of a trial: the same rules, and limits small enough to be met at once."""
    words = ["tier", "landlock", str(os.geteuid()), "here", *plan.view.rules(), *plan.words]
    words += ("land", canary + "/scratch", "rlw", "wall", "1", "probe", canary, str(port))
    bounds = (("data", 64 << 20), ("nofile", 32), ("cpu", 1 << 20), ("fsize", 2 << 20))
    for name, value in bounds:
        words += ("limit", name, str(value), str(value))
    return encode([*words, "limit", "core", "1", "1"])


def applied(plan: Plan, extra: tuple[str, ...], limits: list[str]) -> bytes:
    """The words of the real thing."""
    words = ["tier", "landlock", str(os.geteuid()), "here", *plan.view.rules(), *plan.words]
    return encode([*words, *extra, *limits])
