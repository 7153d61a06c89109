"""What a guest may import, for the import guard, and which C modules are covered for it.

The walls: mounts of what is not named are `noexec`; C modules of the standard library outside
the safe set, and all files of blocked modules, lie beneath something empty. Without namespaces
there is only the guard.
"""

from __future__ import annotations

import os
import sys

from belljar.confine.runtime import Runtime, Shown
from belljar.confine.view import View
from belljar.model import Policy, Value
from belljar.policy.modules import (
    INTERNAL_MODULES,
    OPTIONAL_MODULES,
    SAFE_EXTENSIONS,
    UNSAFE_MODULES,
)

_EMPTY_FOLDER = "size=4k,nr_inodes=1,mode=0755"


class Named(Value):
    """What grants of `import` bring: places with native code, and all that may use `ctypes`."""

    native: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()


#: What was found last, and of which grants in which state of the environment.
_named: list[tuple[object, Named]] = []


def named_by(policy: Policy, runtime: Runtime) -> Named:
    """The places of the distributions that the policy names, with what they require.

    Raises `PolicyError` for a name that is neither installed nor of the standard library.
    """
    grants = [g for g in policy.grants if g.right == "import"]
    if not grants:
        return Named()
    from belljar.confine.distributions import native_parts, parts, state

    key = tuple(grant.target for grant in grants), state(runtime)
    for known, found in _named:
        if known == key:
            return found
    found = Named(tuple(native_parts(grants, runtime)), tuple(parts(grants, runtime)))
    _named[:] = [(key, found), *_named[:7]]
    return found


def cover(
    view: View, policy: Policy, runtime: Runtime, named: Named, shown: Shown, empty: str
) -> None:
    """Lay something empty over what must not be loaded; `empty` is a file of the host without
    content. Nothing is done where there are no namespaces."""
    if not view.isolated:
        return
    covered = _unsafe_files(policy, runtime, named)
    folders: set[str] = set()
    if policy.block:
        from belljar.confine.blocked import blocked_places

        files, folders = blocked_places(policy.block, runtime)
        covered |= files
    for path in _there(shown, covered):
        view.mount(path, "bind", empty, path, "-", "0", "0")
    for path in _there(shown, folders):
        view.mount(path, "tmpfs", path, _EMPTY_FOLDER)


#: What was found of images, which never change, and of folders, by their last change.
_known: dict[tuple[object, ...], tuple[str, ...]] = {}
_MOST_KNOWN = 256


def _there(shown: Shown, paths: set[str]) -> tuple[str, ...]:
    """The guest's names of those that it has: an image leaves some out."""
    if not paths:
        return ()
    names = tuple(sorted(map(shown.guest, paths)))
    if not shown.trees:
        return names
    key = ("image", shown.trees, names)
    if key not in _known:
        _keep(key, tuple(name for name in names if os.path.lexists(shown.source(name))))
    return _known[key]


def _keep(key: tuple[object, ...], found: tuple[str, ...]) -> None:
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known[key] = found


def _files_in(folder: str) -> tuple[str, ...]:
    """The names in a folder of the interpreter's."""
    stat = os.stat(folder)
    key = ("folder", folder, stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns)
    found = _known.get(key)
    if found is None:
        found = tuple(os.listdir(folder))
        _keep(key, found)
    return found


def _unsafe_files(policy: Policy, runtime: Runtime, named: Named) -> set[str]:
    if policy.extensions == "all" or not runtime.dynload:
        return set()
    granted = _names(policy)
    safe = SAFE_EXTENSIONS if policy.extensions == "stdlib" else frozenset[str]()
    found = set()
    for file in _files_in(runtime.dynload):
        module = file.partition(".")[0]
        if not file.endswith(".so") or module in safe:
            continue
        if module == "_ctypes" and named.trusted:
            continue  # what is named may need it; the guard asks who imports
        if not {module, module.lstrip("_"), UNSAFE_MODULES.get(module, module)} & granted:
            found.add(f"{runtime.dynload}/{file}")
    return found


def _names(policy: Policy) -> set[str]:
    return {g.target.partition(".")[0] for g in policy.grants if g.right == "import"}


def allowed(policy: Policy, runtime: Runtime, named: Named) -> dict[str, object]:
    """What the import guard inside has to know; plain data."""
    from belljar.policy.modules import normal

    library = [path for path in (runtime.stdlib, runtime.dynload) if path]
    return {
        "all": policy.extensions == "all",
        "unsafe": {**UNSAFE_MODULES, **{name: name for name in INTERNAL_MODULES}},
        "internal": INTERNAL_MODULES,
        "optional": OPTIONAL_MODULES,
        "safe": sorted(SAFE_EXTENSIONS) if policy.extensions == "stdlib" else [],
        "library": library,
        "beneath": list(named.native),
        "trusted": list(named.trusted),
        "outside": [*runtime.site, *runtime.hidden],
        "names": sorted(_names(policy)),
        "block": sorted({normal(name) for name in policy.block}),
    }


def inside(runtime: Runtime) -> tuple[str, ...]:
    """Unsafe modules that no file covers, since they are built into the interpreter; `_ctypes`
    stands for those of an interpreter that is not ours and has it in no file."""
    if runtime.program == os.path.realpath(sys.executable):
        return tuple(name for name in sys.builtin_module_names if name in UNSAFE_MODULES)
    files = _files_in(runtime.dynload) if runtime.dynload else ()
    return () if any(file.startswith("_ctypes.") for file in files) else ("_ctypes",)
