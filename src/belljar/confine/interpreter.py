"""What the interpreter inside is told to hold back: built-ins, `sys`, facts about the machine."""

from __future__ import annotations

import os

from belljar.confine.modules import Named
from belljar.confine.view import View
from belljar.model import Policy
from belljar.policy.interpreter import UNAME, WITHHELD, WITHHELD_FROM_PYTHON

_PAGE = 4096
_MOST = 1 << 20
#: What `os-info` shows, copied when the guest starts: it does not see them change.
SHOWN = ("/proc/version", "/proc/cpuinfo", "/proc/meminfo", "/etc/os-release")


def show_machine(view: View, policy: Policy) -> None:
    """With `os-info`, files that tell of the machine; there is no procfs to read them in."""
    for path in SHOWN if policy.os_info else ():
        try:
            with open(path, "rb") as file:
                text = file.read(_MOST).decode("utf-8", "replace").replace("\0", "")
        except OSError:
            continue  # this machine has none
        if view.isolated:
            view.file(path, text)
        else:
            view.allow(path, "r")


def settings(policy: Policy, named: Named) -> dict[str, object]:
    """For the guest's first lines; plain data."""
    native = bool(named.native) or policy.extensions == "all"
    builtins = policy.builtins
    return {
        "withheld": [*WITHHELD, *(() if native else WITHHELD_FROM_PYTHON)],
        "builtins": "" if builtins == "all" else builtins,
        "programs": any(grant.right == "run" for grant in policy.grants),
        "machine": None if policy.os_info else _machine(policy),
        "interfaces": interfaces(policy),
    }


def interfaces(policy: Policy) -> list[tuple[int, str]]:
    """What `socket.if_nameindex` says: loopback, or with `net-info` what the host has now."""
    if not policy.net_info:
        return [(1, "lo")]
    import socket

    return [(index, name[:15]) for index, name in socket.if_nameindex()[:256]]


def _machine(policy: Policy) -> dict[str, object]:
    """Facts that a policy gives: as many processors as processes, the memory it may have."""
    return {
        "uname": [UNAME[0], os.uname().nodename if policy.net_info else UNAME[1], *UNAME[2:]],
        "cpus": policy.limits.processes,
        "pages": policy.limits.memory // _PAGE,
    }
