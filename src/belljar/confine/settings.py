"""The plan's limits and environment: words from a policy, no files involved."""

from __future__ import annotations

import os

from belljar.errors import PolicyError
from belljar.model import Policy

_GIB = 1 << 30
_NO_LIMIT = (1 << 64) - 1


def cpu_fence(cpu: float) -> int:
    """Seconds of processor time of a live guest after which the kernel signals it (SIGXCPU), where
    the host should be stuck and have counted for long. The host raises it as calls go by."""
    return 3 * int(cpu) + 3


def limits(policy: Policy, tier: str, *, live: bool = False, branches: int = 0) -> list[str]:
    given = policy.limits
    cpu = max(1, int(given.cpu) + (given.cpu > int(given.cpu)))
    rows: list[tuple[str, int, int]] = [
        ("data", given.memory, given.memory),
        # shared mappings are not data: this is the second fence
        ("as", 4 * given.memory + _GIB, 4 * given.memory + _GIB),
        # a limit of each call is counted by the host: nobody could raise a hard one again
        ("cpu", cpu_fence(given.cpu), _NO_LIMIT) if live else ("cpu", cpu, cpu + 1),
        ("nofile", given.open_files, given.open_files),
        ("fsize", given.disk, given.disk),
        ("core", 1, 1),  # 0 would still feed a core_pattern pipe (core(5))
        ("memlock", 1 << 20, 1 << 20),
        ("msgqueue", 0, 0),
        ("sigpending", 1024, 1024),  # also bounds POSIX timers
    ]
    if tier != "landlock":  # elsewhere it would count the user's processes outside, too
        tasks = given.threads + given.processes  # init is one of them
        if branches:
            tasks += branches + 1  # and the one in between that makes the last
        rows.append(("nproc", tasks, tasks))
    return [word for name, soft, hard in rows for word in ("limit", name, str(soft), str(hard))]


def environment(policy: Policy, temporary: str) -> list[tuple[str, str]]:
    variables = {} if temporary == "/tmp" else {"TMPDIR": temporary}
    for name, value in policy.env:
        if value is True:
            host = os.environ.get(name)
            if host is not None:
                variables[name] = host
        elif isinstance(value, str):
            variables[name] = value
    for name in variables:
        if name.startswith(("LD_", "BELLJAR_")):
            raise PolicyError(policy.origin("process.env"), f"env: {name} is Belljar's own to set")
    return list(variables.items())
