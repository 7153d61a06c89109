"""The runtime in the guest's view: the interpreter, its libraries, and the environment."""

from __future__ import annotations

import os

from belljar.confine import modules
from belljar.confine.runtime import Runtime, Shown
from belljar.confine.view import View
from belljar.model import Policy

_LIST = "/etc/ld.so.cache"


def add_runtime(
    view: View, policy: Policy, runtime: Runtime, shown: Shown, empty: str
) -> modules.Named:
    """Show it as `shown` says; `empty` is a file of the host without content. Returns what grants
    of `import` bring, by the guest's names. Raises `PolicyError`."""
    inner = shown.inner
    if shown.trees:
        view.bind(shown.trees[0][1], shown.trees[0][0], "x", "rl")
        view.allow(inner.program, "rx")
    else:
        _as_it_is(view, runtime)
    for path in landmarks(inner):
        view.window[path] = "r"
    for path in inner.site:
        flags = "x" if policy.extensions == "all" else ""
        view.bind(shown.source(path), path, flags, "rl")
    named = modules.named_by(policy, runtime)
    if shown.trees:  # what a link of the environment leads out to is not in the image
        named = modules.Named(
            *(
                tuple(shown.guest(path) for path in paths if shown.guest(path) != path)
                for paths in (named.native, named.trusted)
            )
        )
    if policy.extensions != "all":
        for path in named.native:
            source = shown.source(path)
            view.bind(source, path, "x", "rl" if os.path.isdir(source) else "r")
    modules.cover(view, policy, runtime, named, shown, empty)
    return named


def _as_it_is(view: View, runtime: Runtime) -> None:
    view.bind(runtime.program, runtime.program, "x", "rx")
    view.bind(runtime.stdlib, runtime.stdlib, "x", "rl")
    if runtime.dynload and not runtime.dynload.startswith(runtime.stdlib + "/"):
        view.bind(runtime.dynload, runtime.dynload, "x", "rl")
    for path in runtime.libraries:
        view.bind(path, path, "x", "rl" if os.path.isdir(path) else "r")
    for path in runtime.hidden:
        if path.startswith(runtime.stdlib + "/") and view.isolated:
            view.mount(path, "tmpfs", path, "size=4k,nr_inodes=1,mode=0755")


def landmarks(runtime: Runtime) -> list[str]:
    """What CPython looks for beside itself at every start: absent here, and no denial."""
    folder, name = os.path.split(runtime.program)
    beside = ("pyvenv.cfg", f"{name}._pth", "python._pth", "pybuilddir.txt", "Modules/Setup.local")
    return [os.path.join(os.path.dirname(folder), "pyvenv.cfg")] + [f"{folder}/{b}" for b in beside]


def system_libraries(view: View, shown: Shown) -> None:
    """The host's own libraries, where the loader looks for them, and its list of them: a list of
    those that are shown, where names are hidden."""
    if not _system:
        _system.append(System())
    system = _system[0]
    for name, target in system.links:
        view.link(name, target)
    for folder in (*system.shown, *system.files):
        view.bind(folder, folder, "x", "rl" if folder in system.shown else "r")
    try:
        listed = _list_of(system.folders, shown, os.stat(_LIST))
        view.bind(listed, _LIST, "", "r")
    except FileNotFoundError:
        pass  # the loader looks in its directories
    if system.loader:
        view.land[system.loader] = "rx"


class System:
    """Where a host has its libraries; read once, since this interpreter itself was loaded there."""

    def __init__(self) -> None:
        machine = os.uname().machine
        names = ("/lib", "/lib64", "/bin", "/sbin")
        self.links = tuple((name, os.readlink(name)) for name in names if os.path.islink(name))
        gnu = f"{machine}-linux-gnu"
        self.folders = (f"/usr/lib/{gnu}", "/usr/lib64", f"/lib/{gnu}", "/lib64")
        self.shown = tuple(
            path for path in self.folders if os.path.isdir(path) and os.path.realpath(path) == path
        )
        loader = {"x86_64": "/lib64/ld-linux-x86-64.so.2", "aarch64": "/lib/ld-linux-aarch64.so.1"}
        called = loader.get(machine, "")  # as every program names it, inside it itself
        real = os.path.realpath(called)
        self.loader = real if os.path.isfile(real) else ""
        self.files: tuple[str, ...] = ()
        folder = os.path.realpath(os.path.dirname(called))
        place = os.path.join(folder, os.path.basename(called))
        if self.loader and folder not in self.shown:  # arm64: beside the folders, not in one
            if os.path.islink(place):
                self.links += ((place, os.readlink(place)),)
            else:
                self.files = (place,)


_system: list[System] = []


def system_list() -> str:
    """The loader's list of the host's libraries."""
    return _LIST


def _list_of(folders: tuple[str, ...], shown: Shown, stat: os.stat_result) -> str:
    """The host's path of the loader's list; beside an image lies one of what the guest has."""
    if not shown.trees:
        return _LIST
    beside = os.path.dirname(shown.trees[0][1])
    path = f"{beside}/ld-{stat.st_mtime_ns:x}-{stat.st_size:x}"
    if not os.path.exists(path):
        from belljar.confine.image.loader_cache import write

        write(path, folders, {host: guest for guest, host in shown.mapped if ".so" in guest})
    return path
