"""From a policy to walls: probe -> plan -> apply -> status. One file per mechanism.

The mechanisms themselves are C (`_native/`: mounts, landlock, seccomp, namespaces, limits,
connect), applied by the keeper between `fork` and `exec`; here it is decided what they must do.

The room is also a function: `belljar.confine(policy)` restricts this very process, see
`belljar.confine.here.confine`.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from belljar.model import Status


class _Room(type(sys)):  # type: ignore[misc]
    """A module that can be called: the name is taken by both, see ARCHITECTURE.md."""

    def __call__(self, *args: Any, **keywords: Any) -> Status:
        from belljar.confine.here import confine

        return confine(*args, **keywords)


sys.modules[__name__].__class__ = _Room
