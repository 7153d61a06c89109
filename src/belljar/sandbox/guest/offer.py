"""`belljar.guest` in every guest: `narrow`, whose code is made when somebody asks for it.

Part of the first lines that run inside. A guest that finds Belljar itself among its modules has
that, and `belljar.guest` beside it.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from belljar.sandbox.guest.imports import guard_imports

_offered: "dict[str, Any]" = {}


def narrow(policy: "Any" = None, **keywords: "Any") -> "Any":
    """Keep only the grants that are named, and lower limits; for good. See docs/narrow.md."""
    return narrowing().narrow(policy, **keywords)


def narrowing() -> "Any":
    """The `Narrowing` of this guest (narrow.py)."""
    made = _offered.get("made")
    if made is None:
        names: "dict[str, Any]" = {"__name__": "belljar.guest"}
        code = globals()["NARROW"]  # put there by confine/first_lines.py: compiled, or text
        if type(code) is bytes:
            import marshal

            code = marshal.loads(code)
        else:
            code = compile(code, "/belljar/boot.py", "exec", dont_inherit=True)
        exec(code, names)
        guard = None if _offered["modules"]["all"] else _guard_less
        made = names["Narrowing"](_offered["facts"], _offered.get("tell"), guard)
        _offered["made"] = made
    return made


def tell_narrowed(ask: "Any") -> None:
    """The host is to know of it: `ask(op, body)` asks it."""
    _offered["tell"] = ask


def narrow_apart(ask: "Any") -> None:
    """This process is a branch from now on, with `ask` for its bridge. It stays as narrow."""
    _offered["tell"] = ask
    made = _offered.get("made")
    if made is not None:
        made.branch(ask)
    else:
        import posix

        _offered["facts"].update(pid=posix.getpid(), whole=False)


def _guard_less(names: "list[str]") -> None:
    """Another import guard before the first, with fewer names."""
    allowed = _offered["modules"]
    _offered["modules"] = less = dict(allowed)
    less["names"] = [name.partition(".")[0] for name in names]
    tops = tuple("/" + name.replace("-", "_") for name in less["names"])
    for key in ("beneath", "trusted"):
        less[key] = [place for place in allowed[key] if tops and place.endswith(tops)]
    guard_imports(less)


def offer_narrow(boot: "dict[str, Any]") -> None:
    """Make `belljar.guest` importable."""
    import posix

    _offered["facts"] = boot["narrow"]
    _offered["facts"]["pid"] = posix.getpid()
    _offered["modules"] = boot["modules"]
    finder: "Any" = type(sys)("belljar.finder")
    finder.find_spec = _find_guest
    sys.meta_path.append(finder)


def _find_guest(name: str, path: "Any" = None, target: "Any" = None) -> "Any":
    if name not in ("belljar", "belljar.guest"):
        return None
    import _frozen_importlib as bootstrap

    loader: "Any" = type(sys)("belljar.loader")
    loader.create_module = lambda spec: None
    loader.exec_module = lambda made: made.__dict__.update(
        {"narrow": narrow} if name == "belljar.guest" else {}
    )
    return bootstrap.ModuleSpec(name, loader, is_package=name == "belljar")
