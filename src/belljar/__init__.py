"""Belljar: see, verify and limit what Python code does.

Names are loaded on first use, so that `import belljar` costs next to nothing.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from belljar.errors import BelljarError as BelljarError
    from belljar.model import Decision as Decision
    from belljar.model import Event as Event
    from belljar.model import Grant as Grant
    from belljar.model import Limits as Limits
    from belljar.model import Policy as Policy
    from belljar.model import Status as Status

_HOMES = {
    "BelljarError": "errors",
    "Decision": "model",
    "Event": "model",
    "Grant": "model",
    "Limits": "model",
    "Policy": "model",
    "Status": "model",
}

__all__ = [
    "BelljarError",
    "Decision",
    "Event",
    "Grant",
    "Limits",
    "Policy",
    "Status",
    "__version__",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'belljar' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"belljar.{home}"), name)
    globals()[name] = value
    return value
