"""What a guest is told so that it can narrow itself (sandbox/guest/narrow.py): its rules of files,
what stays and what was granted, and which of the keeper's entries each address has, and each
place to append at.

It learns nothing: every path is one that it can reach, every limit one that it can ask for.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Final

    from belljar.confine.appended import Folder
    from belljar.confine.network import Net
    from belljar.confine.program import Program
    from belljar.confine.view import View
    from belljar.model import Grant, Policy

_RIGHTS: Final = {"read": "rl", "list": "l", "write": "w", "append": "w", "overlay": "rlw"}


def facts(
    policy: Policy,
    view: View,
    base: Mapping[str, str],
    found: Iterable[Grant],
    programs: Iterable[str],
    net: Net,
    program: Program,
    folders: Iterable[Folder],
) -> dict[str, object]:
    """Plain data for the guest's first lines. `base` holds the rules that it keeps in any case."""
    given = [(g.right, g.target, _RIGHTS[g.right]) for g in found if g.right in _RIGHTS]
    given += [("devices", path, view.land.get(path, "")) for path in policy.devices]
    given += [("run", path, "rx") for path in programs]
    limits = policy.limits
    return {
        "base": dict(base),
        "given": given,
        "network": [*net.spans],
        "appends": [one.target for one in folders],  # the keeper has them in this order
        "whole": not program.branches,  # one of several shares its keeper
        "import": sorted({g.target for g in policy.grants if g.right == "import"}),
        "limits": {
            "memory": limits.memory, "cpu": limits.cpu, "wall": limits.wall,
            "processes": limits.processes, "threads": limits.threads,
            "open_files": limits.open_files, "output": limits.output,
        },
        "isolated": view.isolated,
        "live": program.kind == "live",
    }  # fmt: skip
