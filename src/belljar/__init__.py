"""Belljar: see, verify and limit what Python code does.

Names are loaded on first use, so that `import belljar` costs next to nothing.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from belljar._native import get_include as get_include
    from belljar.adapters.executor import SandboxExecutor as SandboxExecutor
    from belljar.adapters.executor import WorkerEnded as WorkerEnded
    from belljar.adapters.travel import CannotTravel as CannotTravel
    from belljar.confine.here import confine as confine
    from belljar.errors import BelljarError as BelljarError
    from belljar.errors import GuestError as GuestError
    from belljar.errors import GuestProtocolError as GuestProtocolError
    from belljar.errors import InternalError as InternalError
    from belljar.errors import LedgerCorrupt as LedgerCorrupt
    from belljar.errors import LedgerError as LedgerError
    from belljar.errors import PolicyError as PolicyError
    from belljar.errors import ProgramNotExecutable as ProgramNotExecutable
    from belljar.errors import ProgramNotFound as ProgramNotFound
    from belljar.errors import SandboxEnded as SandboxEnded
    from belljar.errors import TemplateEnded as TemplateEnded
    from belljar.errors import TemplateError as TemplateError
    from belljar.errors import Unenforceable as Unenforceable
    from belljar.errors import UsageError as UsageError
    from belljar.events import table as catalogue
    from belljar.model import Decision as Decision
    from belljar.model import Event as Event
    from belljar.model import Grant as Grant
    from belljar.model import Limits as Limits
    from belljar.model import Policy as Policy
    from belljar.model import Status as Status
    from belljar.sandbox import caps as caps
    from belljar.sandbox.bridge.exposure import Exposure as Exposure
    from belljar.sandbox.bridge.handles import Exposed as Exposed
    from belljar.sandbox.bridge.limits import Limit as Limit
    from belljar.sandbox.guest.values import Unsendable as Unsendable
    from belljar.sandbox.live.answers import Opaque as Opaque
    from belljar.sandbox.live.arrays import array as array
    from belljar.sandbox.live.async_box import AsyncSandbox as AsyncSandbox
    from belljar.sandbox.live.box import Sandbox as Sandbox
    from belljar.sandbox.live.box import run as run
    from belljar.sandbox.live.warm import Template as Template
    from belljar.sandbox.result import Denial as Denial
    from belljar.sandbox.result import Result as Result
    from belljar.watch.here import Watching as Watching
    from belljar.watch.here import watching as watching

#: Names that are whole modules.
_MODULES = {
    "caps": "sandbox.caps",
    "catalogue": "events.table",
    "confine": "confine",  # this one can be called
}
_HOMES = {
    "AsyncSandbox": "sandbox.live.async_box",
    "BelljarError": "errors",
    "CannotTravel": "adapters.travel",
    "Decision": "model",
    "Denial": "sandbox.result",
    "Event": "model",
    "Exposed": "sandbox.bridge.handles",
    "Exposure": "sandbox.bridge.exposure",
    "Grant": "model",
    "GuestError": "errors",
    "GuestProtocolError": "errors",
    "InternalError": "errors",
    "LedgerCorrupt": "errors",
    "LedgerError": "errors",
    "Limit": "sandbox.bridge.limits",
    "Limits": "model",
    "Opaque": "sandbox.live.answers",
    "Policy": "model",
    "PolicyError": "errors",
    "ProgramNotExecutable": "errors",
    "ProgramNotFound": "errors",
    "Result": "sandbox.result",
    "Sandbox": "sandbox.live.box",
    "SandboxEnded": "errors",
    "SandboxExecutor": "adapters.executor",
    "Status": "model",
    "Template": "sandbox.live.warm",
    "TemplateEnded": "errors",
    "TemplateError": "errors",
    "Unenforceable": "errors",
    "Unsendable": "sandbox.guest.values",
    "UsageError": "errors",
    "Watching": "watch.here",
    "WorkerEnded": "adapters.executor",
    "array": "sandbox.live.arrays",
    "get_include": "_native",
    "run": "sandbox.live.box",
    "watching": "watch.here",
}

__all__ = [
    "AsyncSandbox",
    "BelljarError",
    "CannotTravel",
    "Decision",
    "Denial",
    "Event",
    "Exposed",
    "Exposure",
    "Grant",
    "GuestError",
    "GuestProtocolError",
    "InternalError",
    "LedgerCorrupt",
    "LedgerError",
    "Limit",
    "Limits",
    "Opaque",
    "Policy",
    "PolicyError",
    "ProgramNotExecutable",
    "ProgramNotFound",
    "Result",
    "Sandbox",
    "SandboxEnded",
    "SandboxExecutor",
    "Status",
    "Template",
    "TemplateEnded",
    "TemplateError",
    "Unenforceable",
    "Unsendable",
    "UsageError",
    "Watching",
    "WorkerEnded",
    "__version__",
    "array",
    "caps",
    "catalogue",
    "confine",
    "get_include",
    "run",
    "watching",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name) or _MODULES.get(name)
    if home is None:
        raise AttributeError(f"module 'belljar' has no attribute {name!r}")
    import importlib

    value: object = importlib.import_module(f"belljar.{home}")
    if name in _HOMES:
        value = getattr(value, name)
    globals()[name] = value
    return value
