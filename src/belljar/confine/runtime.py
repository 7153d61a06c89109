"""The interpreter that a guest runs on: which files it is made of.

Facts about our own interpreter are read from `sys`; another one is asked once, isolated, and
the answer kept beside the probes (keyed by the binary's identity).
"""

from __future__ import annotations

import os
import sys

from belljar.errors import BelljarError, ProgramNotExecutable, ProgramNotFound
from belljar.model import Value

_ASK = (
    "import sys,os;d=[p for p in sys.path if p.endswith('lib-dynload')];"
    "sys.stdout.write('\\0'.join(['%d.%d.%d'%sys.version_info[:3],sys.base_prefix,"
    "os.path.dirname(os.__file__),d[0] if d else '',sys.implementation.name]))"
)


class Runtime(Value):
    """An interpreter and its environment, as absolute host paths without symlinks."""

    program: str
    version: str
    stdlib: str
    dynload: str
    site: tuple[str, ...]  # where the environment's distributions lie
    hidden: tuple[str, ...]  # site directories of the base that the environment does not include
    libraries: tuple[str, ...]  # shared libraries that lie with the interpreter


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
    path = python if "/" in python else _which(python)
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


def describe(python: str, cache: str | None) -> Runtime:
    """What `python` is made of. `cache` is a directory for answers, or None.

    Raises `BelljarError` when the program does not answer as CPython 3.8 or newer does.
    """
    environment = os.path.dirname(os.path.dirname(os.path.abspath(python)))
    settings = _settings(os.path.join(environment, "pyvenv.cfg"))
    program = os.path.realpath(python)
    if program == os.path.realpath(sys.executable):
        version = "{}.{}.{}".format(*sys.version_info[:3])
        facts = [version, sys.base_prefix, os.path.dirname(os.__file__), _own_dynload()]
    else:
        facts = _ask(program, cache)
    version, base, stdlib, dynload = facts
    short = "python" + ".".join(version.split(".")[:2])
    bases = [
        os.path.join(base, "lib", short, "site-packages"),
        os.path.join(base, "lib", "python3", "dist-packages"),
        os.path.join("/usr/local/lib", short, "dist-packages") if base == "/usr" else "",
    ]
    bases = [os.path.realpath(p) for p in bases if p and os.path.isdir(p)]
    hidden: list[str] = []
    if settings is None:
        site = bases
    else:
        own = os.path.join(environment, "lib", short, "site-packages")
        site = [os.path.realpath(own)] if os.path.isdir(own) else []
        if settings.get("include-system-site-packages", "false").lower() == "true":
            site, hidden = site + bases, []
        else:
            hidden = bases
    return Runtime(
        program, version, os.path.realpath(stdlib), os.path.realpath(dynload) if dynload else "",
        tuple(site), tuple(hidden), _libraries(base),
    )  # fmt: skip


def _libraries(base: str) -> tuple[str, ...]:
    folder = os.path.join(base, "lib")
    if os.path.isdir(os.path.join(base, "conda-meta")):
        return (os.path.realpath(folder),)  # everything there finds everything there
    if base == "/usr" or not os.path.isdir(folder):
        return ()  # the system's library directories are shown anyway
    names = [n for n in os.listdir(folder) if n.startswith("libpython") and ".so" in n]
    paths = (os.path.join(folder, name) for name in sorted(names))
    return tuple(path for path in paths if not os.path.islink(path))


def boot_file(source: str, runtime: Runtime, cache: str | None) -> str:
    """`source`, or the same compiled where this interpreter's version is ours: compiling costs
    the guest a millisecond. The code bears a neutral name, whatever the host calls the file."""
    ours = "{}.{}.{}".format(*sys.version_info[:3])
    if cache is None or runtime.version != ours:
        return source
    stat = os.stat(source)
    kept = os.path.join(cache, f"boot-{ours}-{stat.st_ino}-{stat.st_mtime_ns}-{stat.st_size}.pyc")
    if not os.path.exists(kept):
        import importlib.util
        import marshal

        with open(source, "rb") as file:
            code = compile(file.read(), "/belljar/boot.py", "exec", dont_inherit=True)
        temporary = f"{kept}.{os.getpid()}"
        with open(temporary, "wb") as out:
            out.write(importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(code))
        os.replace(temporary, kept)
    return kept


def _own_dynload() -> str:
    for entry in sys.path:
        if entry.endswith("lib-dynload"):
            return entry
    return ""


def _settings(path: str) -> dict[str, str] | None:
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return None
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def _ask(program: str, cache: str | None) -> list[str]:
    stat = os.stat(program)
    key = f"runtime-{stat.st_dev}-{stat.st_ino}-{stat.st_mtime_ns}-{stat.st_size}"
    kept = os.path.join(cache, key) if cache else ""
    if kept:
        try:
            with open(kept, encoding="utf-8") as file:
                known = file.read().split("\0")
            if len(known) == 4:
                return known
        except FileNotFoundError:
            pass  # not asked yet
    import subprocess

    try:
        answer = subprocess.run(
            [program, "-I", "-S", "-c", _ASK], capture_output=True, timeout=20, check=False, env={}
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BelljarError(f"--python: {program} does not answer: {error}") from error
    facts = answer.stdout.decode("utf-8", "surrogateescape").split("\0")
    if answer.returncode or len(facts) != 5 or facts[4] != "cpython":
        raise BelljarError(f"--python: {program} is not a CPython that Belljar can run")
    if tuple(int(n) for n in facts[0].split(".")[:2]) < (3, 8):
        raise BelljarError(f"--python: {program} is CPython {facts[0]}; 3.8 is the oldest")
    if kept:
        temporary = f"{kept}.{os.getpid()}"
        with open(temporary, "w", encoding="utf-8") as file:
            file.write("\0".join(facts[:4]))
        os.replace(temporary, kept)
    return facts[:4]
