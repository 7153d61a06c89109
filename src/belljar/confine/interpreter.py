"""What the interpreter inside is told to hold back: built-ins, `sys`, facts about the machine."""

from __future__ import annotations

from belljar.confine.modules import Named
from belljar.model import Policy
from belljar.policy.interpreter import UNAME, WITHHELD, WITHHELD_FROM_PYTHON

_PAGE = 4096


def settings(policy: Policy, named: Named) -> dict[str, object]:
    """For the guest's first lines; plain data."""
    native = bool(named.native) or policy.extensions == "all"
    builtins = policy.builtins
    return {
        "withheld": [*WITHHELD, *(() if native else WITHHELD_FROM_PYTHON)],
        "builtins": "" if builtins == "all" else builtins,
        "machine": None if policy.os_info else _machine(policy),
    }


def _machine(policy: Policy) -> dict[str, object]:
    """Facts that a policy gives: as many processors as processes, the memory it may have."""
    return {
        "uname": list(UNAME),
        "cpus": policy.limits.processes,
        "pages": policy.limits.memory // _PAGE,
    }
