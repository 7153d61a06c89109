"""What the interpreter tells of the machine and of itself, made neutral or taken away.

A window: C code asks the kernel. Part of the first lines that run inside.
"""

import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def withhold(names: "list[str]") -> None:
    """Take attributes out of `sys`."""
    for name in names:
        sys.__dict__.pop(name, None)


def neutral_machine(facts: "dict[str, Any]") -> None:
    """`os.uname` and its like, before `os` is made from `posix`."""
    cpus, pages = facts["cpus"], facts["pages"]
    machine = posix.uname().machine
    uname = posix.uname_result((*facts["uname"], machine))
    plain, numbers = posix.sysconf, posix.sysconf_names
    answers = {
        "SC_NPROCESSORS_CONF": cpus, "SC_NPROCESSORS_ONLN": cpus,
        "SC_PHYS_PAGES": pages, "SC_AVPHYS_PAGES": pages,
    }  # fmt: skip
    answers.update({numbers[n]: answers[n] for n in list(answers) if n in numbers})  # type: ignore[misc]

    def sysconf(name):
        return answers[name] if name in answers else plain(name)

    def sched_getaffinity(pid):
        return set(range(cpus))

    posix.uname = lambda: uname
    posix.cpu_count = lambda: cpus
    posix.sched_getaffinity = sched_getaffinity
    posix.getloadavg = lambda: (0.0, 0.0, 0.0)
    posix.sysconf = sysconf
    loaded = sys.modules.get("os")
    if loaded is not None:  # a template imported it
        for name in ("uname", "cpu_count", "sched_getaffinity", "getloadavg", "sysconf"):
            setattr(loaded, name, getattr(posix, name))


def tell_interfaces(interfaces: "list[tuple[int, str]]") -> None:
    """What `socket.if_nameindex` and its like say, which ask the kernel by what is refused."""
    loaded = sys.modules.get("_socket")
    if loaded is None:
        sys.meta_path.insert(0, _Interfaces(interfaces))
        return
    answer = _interfaces(interfaces)  # a template imported it
    for name in ("_socket", "socket"):
        if name in sys.modules:
            sys.modules[name].__dict__.update(answer)


def _interfaces(interfaces: "list[tuple[int, str]]") -> "dict[str, Any]":
    def if_nameindex():
        return list(interfaces)

    def if_nametoindex(name, /):
        name = posix.fspath(name)
        for index, one in interfaces:
            if name in (one, one.encode()):
                return index
        raise OSError("no interface with this name")

    def if_indextoname(index, /):
        for one, name in interfaces:
            if index == one:
                return name
        raise OSError(6, "No such device or address")

    return {one.__name__: one for one in (if_nameindex, if_nametoindex, if_indextoname)}


class _Interfaces:
    """Lets `_socket` be, but for the functions that ask for interfaces."""

    def __init__(self, interfaces: "list[tuple[int, str]]") -> None:
        self.interfaces = interfaces

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> "Any":
        if name != "_socket":
            return None
        sys.meta_path.remove(self)
        specs = (finder.find_spec(name, path) for finder in sys.meta_path)
        spec: "Any" = next((spec for spec in specs if spec is not None), None)
        if spec is not None:
            spec.loader = _Then(spec, spec.loader, _interfaces(self.interfaces))
        return spec


class _Then:
    """A loader that adds to what another one made, and leaves no trace of itself."""

    def __init__(self, spec: "Any", plain: "Any", more: "dict[str, Any]") -> None:
        self.spec, self.plain, self.more = spec, plain, more

    def create_module(self, spec: "Any") -> "Any":
        return self.plain.create_module(spec)

    def exec_module(self, module: "Any") -> None:
        self.spec.loader = module.__loader__ = self.plain
        self.plain.exec_module(module)
        module.__dict__.update(self.more)


def no_programs() -> None:
    """`platform` asks programs, where there are none to ask."""
    sys.meta_path.insert(0, _Platform)


class _Platform:
    """Lets `platform` be, but for the programs that it runs: `uname` and `file`."""

    @staticmethod
    def find_spec(name: str, path: "Any" = None, target: "Any" = None) -> "Any":
        if name != "platform":
            return None
        sys.meta_path.remove(_Platform)
        specs = (finder.find_spec(name, path) for finder in sys.meta_path)
        spec: "Any" = next((spec for spec in specs if spec is not None), None)
        if spec is not None:
            plain = spec.loader.exec_module

            def exec_module(module: "Any") -> None:
                plain(module)
                if hasattr(module, "_Processor"):  # from 3.9
                    module._Processor.from_subprocess = staticmethod(str)
                module._syscmd_file = lambda target, default="": default

            spec.loader.exec_module = exec_module
        return spec
