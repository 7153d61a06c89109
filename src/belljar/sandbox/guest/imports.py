"""Which modules may be imported, decided by who imports.

A window: it gives readable refusals for what the walls refuse unreadably (an empty or unmappable
file), and nothing relies on it. Part of the first lines that run inside (see `boot`).
"""

import builtins
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

_GATE = "<frozen importlib._bootstrap of belljar>"  # so that warnings and records look beyond it


def _importers() -> "list[str]":
    """The files of the code that imports, innermost first, without the import system's own."""
    files: "list[str]" = []
    frame: "Any" = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        machinery = file.startswith("<frozen importlib") or file.endswith("/importlib/__init__.py")
        if not machinery and file != "/belljar/boot.py":
            files.append(file)
        frame = frame.f_back
    return files


def _around(name: str) -> "list[str]":
    """The normal names of a module and of every package around it (PEP 503)."""
    parts = name.lower().split(".")[:32]
    found = []
    for end in range(1, len(parts) + 1):
        text = "-".join(parts[:end])
        lead = len(text) - len(text.lstrip("_"))
        found.append("_" * lead + text[lead:].replace("_", "-"))
    return found


def _refuse(module: str, grant: str, why: str, told: bool = True) -> "NoReturn":
    if told:
        sys.audit("belljar.denied", "import", grant or module, module)
    remedy = f"; the grant that allows it is --import {grant}" if grant else ""
    raise ImportError(f"{module} is {why}{remedy}", name=module)


def guard_imports(allowed: "dict[str, Any]") -> None:
    """Refuse blocked modules to all, and what is outside the safe set to the guest's own code."""
    import _frozen_importlib as bootstrap
    import _imp

    names = frozenset(allowed["names"])
    unsafe = {} if allowed["all"] else {
        module: grant for module, grant in allowed["unsafe"].items()
        if not {module, module.lstrip("_"), grant} & names
    }  # fmt: skip
    internal: "dict[str, Any]" = {
        module: users for module, users in allowed["internal"].items() if module in unsafe
    }
    optional: "dict[str, Any]" = allowed["optional"]
    blocked = frozenset(allowed["block"])
    library = tuple(place + "/" for place in allowed["library"])
    outside = tuple(place + "/" for place in allowed["outside"])  # may lie beneath the library
    trusted = frozenset(allowed["trusted"])
    folders = tuple(place + "/" for place in allowed["trusted"])
    gates: "list[object]" = []

    def ours(file: str) -> bool:
        return file.startswith(library) and not file.startswith(outside)

    def check(name: str) -> bool:
        """Whether others than who asks now may not have what they are about to get."""
        if blocked and not blocked.isdisjoint(_around(name)):
            _refuse(name, "", "blocked by the policy")
        top = name.partition(".")[0]
        if top not in unsafe:
            return False
        files = _importers()
        first = files[0] if files else ""
        if first.endswith(internal.get(top, "\0")) and ours(first):
            return True
        outer = [file for file in files if not (file.startswith("<frozen ") or ours(file))]
        if not outer or not (outer[0] in trusted or outer[0].startswith(folders)):
            expected = first.endswith(optional.get(top, "\0")) and ours(first)  # it catches this
            why = "outside the safe set of the standard library"
            _refuse(name, unsafe[top], why, told=not expected)
        return True  # numpy, pandas and others use ctypes; the walls hold both

    def close_the_gate() -> None:
        """What was loaded for one is in `sys.modules` for all: ask at every import from now on."""
        if gates:
            return
        plain, by_name = builtins.__import__, bootstrap._gcd_import
        watched = frozenset(unsafe)
        importing, asking = _gates(plain, by_name, bool(blocked), watched, check)
        importing.__name__ = "__import__"
        builtins.__import__ = importing
        bootstrap._gcd_import = asking
        gates.append(plain)

    # asked this way round: who goes through `sys.modules` writes to all its names
    if blocked or not sys.modules.keys().isdisjoint(unsafe):
        close_the_gate()  # some are loaded before the first line; a template's imports all are
    sys.meta_path.insert(0, _Guard(check, internal, close_the_gate))
    if not allowed["all"]:
        _guard_loading(allowed, names, unsafe, _imp)


class _Guard:
    def __init__(self, check: "Any", internal: "Any", close_the_gate: "Any") -> None:
        self.check = check
        self.internal = internal
        self.close_the_gate = close_the_gate

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> "Any":
        if self.check(name):
            if name in self.internal:
                return _shared(self, name, path, self.check)
            self.close_the_gate()
        return None


def _gates(plain: "Any", by_name: "Any", all_names: bool, watched: "Any", check: "Any") -> "Any":
    """What asks at every import, for statements and for `importlib`."""

    def importing(name, globals=None, locals=None, fromlist=(), level=0):
        if level == 0 and (all_names or name.partition(".")[0] in watched):
            check(name)
        return plain(name, globals, locals, fromlist, level)

    def _gcd_import(name, package=None, level=0):
        if level == 0 and (all_names or name.partition(".")[0] in watched):
            check(name)
        return by_name(name, package, level)

    return importing, _gcd_import


_code = _gates.__code__
_gates.__code__ = _code.replace(
    co_consts=tuple(
        one.replace(co_filename=_GATE) if type(one) is type(_code) else one
        for one in _code.co_consts
    )
)


def _shared(guard: "Any", name: str, path: "Any", check: "Callable[[str], bool]") -> "Any":
    """A module that the library needs itself: in `sys.modules` lies one that asks who uses it."""
    specs = (one.find_spec(name, path) for one in sys.meta_path if one is not guard)
    spec: "Any" = next((spec for spec in specs if spec is not None), None)
    if spec is None:
        return None
    plain = spec.loader

    class Asking(type(sys)):  # type: ignore[misc]
        def __getattr__(self, attribute: str) -> "Any":
            if attribute[:2] != "__":
                check(name)
            return getattr(module, attribute)

    module: "Any" = None

    class Loader:
        @staticmethod
        def create_module(spec: "Any") -> "Any":
            nonlocal module
            module = plain.create_module(spec)
            return module

        @staticmethod
        def exec_module(made: "Any") -> None:
            plain.exec_module(made)
            front = Asking(name)
            front.__spec__ = made.__spec__
            sys.modules[name] = front

    spec.loader = Loader
    return spec


def _guard_loading(
    allowed: "dict[str, Any]", names: "frozenset[str]", unsafe: "dict[str, str]", imp: "Any"
) -> None:
    """The one way by which native code becomes a module, whatever loader asks."""
    safe = frozenset(allowed["safe"])
    granted = set(allowed["beneath"])
    library = set(allowed["library"])
    places = sorted(granted | library | set(allowed["outside"]), key=len, reverse=True)
    alone = frozenset(unsafe) - frozenset(allowed["internal"])
    dynamic, builtin = imp.create_dynamic, imp.create_builtin

    def create_dynamic(spec: "Any", *rest: "Any") -> "Any":
        name, file = spec.name, str(spec.origin)
        beneath = (p for p in places if file == p or file.startswith(p + "/"))
        place = next(beneath, "")  # the most specific one decides
        if place in library:
            # who may have unsafe ones is decided already
            if name not in safe and name not in unsafe and not {name, name.lstrip("_")} & names:
                _refuse(name, name, "outside the safe set of the standard library")
        elif place not in granted:
            _refuse(name, name.partition(".")[0], "native code that no grant names")
        return dynamic(spec, *rest)

    def create_builtin(spec: "Any") -> "Any":
        if spec.name in alone:
            _refuse(spec.name, unsafe[spec.name], "outside the safe set of the standard library")
        return builtin(spec)

    imp.create_dynamic = create_dynamic
    if not allowed["trusted"]:
        imp.create_builtin = create_builtin
