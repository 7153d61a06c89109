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
