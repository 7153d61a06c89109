"""The interpreter that a guest runs on: which files it is made of.

Facts about our own interpreter are read from `sys`, those about another one from where its files
lie. It is never started outside the sandbox: a guest may have written it.
"""

from __future__ import annotations

import os
import sys

from belljar.errors import BelljarError, ProgramNotExecutable, ProgramNotFound
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from belljar.confine.program import Program


_MOST_SETTINGS = 1 << 16


class Runtime(Value):
    """An interpreter and its environment, as absolute host paths without symlinks."""

    program: str
    version: str
    stdlib: str
    dynload: str
    site: tuple[str, ...]  # where the environment's distributions lie
    hidden: tuple[str, ...]  # site directories of the base that the environment does not include
    libraries: tuple[str, ...]  # shared libraries that lie with the interpreter


class Shown(Value):
    """How a guest is shown a runtime. `inner` has the guest's names. `trees` are what is mounted
    for it, as (guest, host), outermost first; none where the host's own paths are shown, and
    `why` says why that is. `mapped` tells what of the host each guest path stands for."""

    inner: Runtime
    trees: tuple[tuple[str, str], ...] = ()
    mapped: tuple[tuple[str, str], ...] = ()
    why: str = ""

    def guest(self, path: str) -> str:
        """The guest's name of a path in the host's runtime."""
        for guest, host in self.mapped:
            if path == host or path.startswith(host + "/"):
                return guest + path[len(host) :]
        return path

    def source(self, path: str) -> str:
        """The host's file that the guest sees at `path`."""
        for guest, host in reversed(self.trees):
            if path == guest or path.startswith(guest + "/"):
                return host + path[len(guest) :]
        return path


def as_it_is(runtime: Runtime, why: str = "") -> Shown:
    """The host's own paths, and why."""
    return Shown(runtime, why=why)


def for_program(program: Program, cache: str | None) -> Runtime:
    """The runtime that `program` runs on. Raises as `choose` and `describe` do, and `PolicyError`
    when a `.venv` that nobody named was written by a guest."""
    python = choose(program.python, program.cwd)
    if program.python is None and python.startswith(program.cwd + "/.venv/"):
        from belljar.confine.distrust import distrust

        distrust(cache, program.cwd + "/.venv", "name it with --python")
    return describe(python)


def choose(python: str | None, cwd: str) -> str:
    """The interpreter to run on: `--python`, `$VIRTUAL_ENV`, `.venv` beside us, ours.

    Raises `ProgramNotFound` or `ProgramNotExecutable` when one was named and is not usable.
    """
    if python is None:
        environment = os.environ.get("VIRTUAL_ENV")
        for base in (environment, os.path.join(cwd, ".venv")):
            if base:
                candidate = os.path.join(base, "bin", "python")
                if os.access(candidate, os.X_OK):
                    return candidate
        return sys.executable
    here = "/" in python or os.path.isdir(os.path.join(cwd, python))
    path = python if here else _which(python)
    path = os.path.join(cwd, path) if path else ""
    if os.path.isdir(path) and os.access(os.path.join(path, "bin", "python"), os.X_OK):
        path = os.path.join(path, "bin", "python")  # a virtual environment was named
    if not path or not os.path.exists(path):
        raise ProgramNotFound(f"--python: no interpreter {python}")
    if os.path.isdir(path) or not os.access(path, os.X_OK):
        raise ProgramNotExecutable(f"--python: {python} cannot be executed")
    return path


def _which(name: str) -> str:
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        candidate = os.path.join(folder, name)
        if folder and os.access(candidate, os.X_OK) and not os.path.isdir(candidate):
            return candidate
    return ""


def describe(python: str) -> Runtime:
    """What `python` is made of.

    Raises `BelljarError` when its files do not lie as those of CPython 3.8 or newer do.
    """
    environment = os.path.dirname(os.path.dirname(os.path.abspath(python)))
    settings = _settings(os.path.join(environment, "pyvenv.cfg"))
    program = os.path.realpath(python)
    if program == os.path.realpath(sys.executable):
        version = "{}.{}.{}".format(*sys.version_info[:3])
        base, stdlib, dynload = sys.base_prefix, os.path.dirname(os.__file__), _own_dynload()
    else:
        version, base, stdlib, dynload = _lookup(program)
    short = "python" + ".".join(version.split(".")[:2])
    bases = [
        os.path.join(base, "lib", short, "site-packages"),
        os.path.join(base, "lib", "python3", "dist-packages"),
        os.path.join("/usr/local/lib", short, "dist-packages") if base == "/usr" else "",
    ]
    bases = [p for p in bases if p and os.path.isdir(p)]
    _contained(base, *bases)
    bases = [os.path.realpath(p) for p in bases]
    hidden: list[str] = []
    if settings is None:
        site = bases
    else:
        own = os.path.join(environment, "lib", short, "site-packages")
        _contained(environment, own)
        site = [os.path.realpath(own)] if os.path.isdir(own) else []
        if settings.get("include-system-site-packages", "false").lower() == "true":
            site, hidden = site + bases, []
        else:
            hidden = bases
    _contained(base, stdlib, dynload)
    return Runtime(
        program, version, os.path.realpath(stdlib), os.path.realpath(dynload) if dynload else "",
        tuple(site), tuple(hidden), _libraries(base),
    )  # fmt: skip


def _contained(home: str, *paths: str) -> None:
    """A link planted in an environment would show any directory to the next guest."""
    for path in paths:
        if path and not os.path.realpath(path).startswith(os.path.realpath(home) + "/"):
            raise BelljarError(f"{path} leads out of {home}: not as CPython or venv lays it out")


def _libraries(base: str) -> tuple[str, ...]:
    folder = os.path.join(base, "lib")
    if base == "/usr" or not os.path.isdir(folder) or os.path.islink(folder):
        return ()  # the system's library directories are shown anyway
    if os.path.isdir(os.path.join(base, "conda-meta")):
        return (os.path.realpath(folder),)  # everything there finds everything there
    names = [n for n in os.listdir(folder) if n.startswith("libpython") and ".so" in n]
    paths = (os.path.join(folder, name) for name in sorted(names))
    return tuple(path for path in paths if not os.path.islink(path))


def _own_dynload() -> str:
    for entry in sys.path:
        if entry.endswith("lib-dynload"):
            return entry
    return ""


def _settings(path: str) -> dict[str, str] | None:
    try:  # a guest may have made it: no device, no pipe, no flood
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with open(fd, encoding="utf-8", errors="replace") as file:
        if os.fstat(fd).st_mode & 0o170000 != 0o100000:
            raise BelljarError(f"{path}: not a file")
        lines = file.read(_MOST_SETTINGS).splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def _lookup(program: str) -> tuple[str, str, str, str]:
    """(version, base prefix, standard library, dynload) of a CPython from its place.

    CPython itself finds its library so: `../lib/pythonX.Y/os.py` from the binary.
    """
    base = os.path.dirname(os.path.dirname(program))
    name = os.path.basename(program)
    library = os.path.join(base, "lib")
    named = name if name.startswith("python3.") else ""
    found = [named] if named else sorted(n for n in _entries(library) if n.startswith("python3."))
    found = [n for n in found if os.path.isfile(os.path.join(library, n, "os.py"))]
    if len(found) != 1:
        raise BelljarError(
            f"--python: no standard library beside {program}; name the real binary (python3.X), "
            f"not a launcher or shim"
        )
    version = found[0].removeprefix("python").rstrip("td")
    if not version.removeprefix("3.").isdigit() or int(version.removeprefix("3.")) < 8:
        raise BelljarError(f"--python: {program} is CPython {version}; 3.8 is the oldest")
    stdlib = os.path.join(library, found[0])
    dynload = os.path.join(stdlib, "lib-dynload")
    return version, base, stdlib, dynload if os.path.isdir(dynload) else ""


def _entries(folder: str) -> list[str]:
    return os.listdir(folder) if os.path.isdir(folder) else []
