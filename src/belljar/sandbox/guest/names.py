"""The built-ins that the guest's own code is given. A window: others are found by who looks.

Part of the first lines that run inside.
"""

import builtins
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Out of `safe`: what opens, asks, or turns text into code.
_UNSAFE = frozenset(
    ("open", "compile", "eval", "exec", "input", "breakpoint", "help", "copyright", "credits",
     "license", "__loader__", "__spec__")
)  # fmt: skip
_ATOMIC = ("bool", "bytes", "complex", "float", "int", "str", "None", "True", "False",
           "Ellipsis", "NotImplemented", "__debug__", "__name__", "__doc__")  # fmt: skip


def choose_builtins(wanted: "Any", runtime: "list[str]") -> "dict[str, Any]":
    """The table of built-ins for the guest's modules: all of them, `safe`, `bare` or a list."""
    import _frozen_importlib_external as external

    plain = builtins.__dict__
    if wanted == "safe":
        chosen = {name: plain[name] for name in plain if name not in _UNSAFE}
    else:
        errors = wanted == "bare"
        chosen = {
            name: value for name, value in plain.items()
            if name in (_ATOMIC if errors else wanted)
            or (errors and isinstance(value, type) and issubclass(value, BaseException))
        }  # fmt: skip
    if "__import__" in chosen:
        chosen["__import__"] = _importing(chosen)
    ours = tuple(place + "/" for place in runtime if place)
    execute = external._LoaderBasics.exec_module

    def exec_module(self, module):
        if not str(getattr(self, "path", "")).startswith(ours):
            module.__dict__["__builtins__"] = chosen
        execute(self, module)

    external._LoaderBasics.exec_module = exec_module
    return chosen


def _importing(chosen: "dict[str, Any]") -> "Any":
    """`__import__` for code with few built-ins: what it imports as `builtins` is those few."""
    few = type(sys)("builtins")
    few.__dict__.update(chosen)

    def importing(name, globals=None, locals=None, fromlist=(), level=0):
        if name == "builtins" and level == 0:
            return few
        return builtins.__import__(name, globals, locals, fromlist, level)

    importing.__name__ = "__import__"
    few.__dict__["__import__"] = importing
    return importing
