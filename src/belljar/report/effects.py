"""What one event means for a summary, as a small tuple that can be applied again and again.

The arguments come from the program: everything is text to be escaped, nothing is believed.
"""

from __future__ import annotations

import re
import sys

from belljar.events.catalogue import BY_NAME
from belljar.events.paths import absolute
from belljar.events.targets import text_of
from belljar.policy.rules import is_standard, shadowed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from belljar.model import Event

    #: The first item is one of `count`, `loaded`, `made`, `write`, `delete`, `rename`, `import`,
    #: `exec`, `run`, `begin`; an event without an effect gives ().
    Effect = tuple[Any, ...]

_RUNS: Final = (
    "cpython.run_command", "cpython.run_file", "cpython.run_module", "cpython.run_stdin",
    "cpython.run_interactivehook",
)  # fmt: skip
#: Events without a right, or with another right, that are worth a line all the same.
_TELLING: Final = frozenset(
    (
        "sys.addaudithook", "setopencodehook", "sys.remote_exec", "remote_debugger_script",
        "cpython.remote_debugger_script", "cpython.PyInterpreterState_New",
        "sqlite3.enable_load_extension", "pickle.find_class", "cpython.run_startup",
    )
)  # fmt: skip
_RIGHTS: Final = frozenset(
    ("read", "list", "write", "append", "connect", "bind", "resolve", "run", "signal", "process",
     "env", "import")
)  # fmt: skip
_NATIVE: Final = ("ctypes.", "sqlite3.")
_CODE_FILES: Final = (".py", ".pyc", ".pyi", ".so", ".pth", ".zip")
_START_FILES: Final = ("/pyvenv.cfg", "._pth", "/pybuilddir.txt", ".pyc")
_SITES: Final = ("/site-packages/", "/dist-packages/")
_FOLDERS: Final = (".dist-info", ".egg-info", *(f"/python3.{minor}" for minor in range(8, 20)))
_DELETES: Final = ("os.remove", "os.rmdir")
_NOTHING: Final = ("/dev/null",)
#: What `collections.namedtuple`, `dataclasses` and `typing` compile, as far as letters tell.
_MADE: Final = re.compile(
    r"lambda _cls, [\w, ]*: _tuple_new\(_cls, \([\w, ]*\)\)"
    r"|def __new__\(_cls, [\w, ]*\): return _tuple_new\(_cls, \([\w, ]*\)\)"
    r"|def __create_fn__\(.*"
    r"|[\w.\[\]'\"]+(?:(?:, ?| ?\| ?)[\w.\[\]'\"]+)*",
    re.S,
)
#: What a shell would not take as it is.
_SPECIAL: Final = re.compile(r"[^\w@%+=:,./~-]")
_LONGEST: Final = 200


def is_library(path: str) -> bool:
    """Is it, by its letters, of the standard library or of an installed package?"""
    if any(site in path or path.endswith(site[:-1]) for site in _SITES):
        return True
    name = path.rpartition("/")[2]
    return is_standard(path + "/") or (name.startswith("python") and name.endswith(".zip"))


def effect(event: Event) -> Effect:
    """The effect of `event`. Never raises.

    >>> from belljar.model import Event
    >>> effect(Event(1, 0, 7, 7, "socket.connect", (), "connect", "10.0.0.1:80"))
    ('count', 'network', 'connect 10.0.0.1:80')
    """
    name, right = event.name, event.right
    target = event.target or event.asked
    if event.refused:
        text = _command(event) if right == "run" else target
        return ("count", "refused", f"{name} {_cut(text)}" if text else name)
    if name == "import":
        return _import(event)
    if name == "exec":
        module = shadowed(event)
        return ("exec", module, event.args[0].file if module else "")
    if name == "compile":
        return _compile(event)
    if name in _RUNS:
        return ("begin", absolute(target, event.cwd or "/") if target else "")
    if right in ("read", "list"):
        return _read(event, right)
    if right in ("write", "append"):
        return _write(event)
    if right in ("connect", "bind", "resolve"):
        return ("count", "network", f"{right} {_cut(target or '?')}")
    if right == "run":
        return ("run", name, _cut(_command(event)), event.stack[:1])
    if name in ("os.fork", "os.forkpty"):
        return ("count", "process", "fork")
    if right == "signal":
        return ("count", "process", f"signal to {_cut(target or '?')}")
    if right == "env":
        return ("count", "env", _cut(target or "?"))
    if name in _TELLING or (right == "native" and name.startswith(_NATIVE)):
        kind = "code" if name == "pickle.find_class" else "native"
        if name == "pickle.find_class":
            text = ".".join(_text(value) or "?" for value in event.args[:2])
            return ("count", kind, ("unpickled " + _cut(text), 0, ""))
        return ("count", kind, f"{name} {_cut(target)}" if target else name)
    row = BY_NAME.get(name)
    if row is None or row[4] == "application":
        return ("count", "own", f"{name} {target}"[:_LONGEST] if target else _cut(name))
    return ()


def tells_nothing() -> frozenset[bytes]:
    """The names of catalogued events that never have an effect, as they stand in frames."""
    kept = {*_RUNS, *_TELLING, "import", "exec", "compile", "os.fork", "os.forkpty"}
    return frozenset(
        row[0].encode()
        for row in BY_NAME.values()
        if row[0] not in kept
        and row[4] != "application"
        and row[2] not in _RIGHTS
        and not (row[2] == "native" and row[0].startswith(_NATIVE))
    )


def _read(event: Event, right: str) -> Effect:
    value = event.args[0] if event.args else None
    if isinstance(value, int) or event.target in _NOTHING:
        return ()  # a descriptor that is open already
    path = event.target
    if path is None:
        return ("count", "untold", f"{right} {_cut(event.asked or _type(value))}")
    if path.endswith(_START_FILES):
        return ("loaded",)
    folder = "." not in path.rpartition("/")[2] or path.endswith(_FOLDERS)
    if is_library(path) and (right == "list" or folder or path.endswith(_CODE_FILES)):
        return ("loaded",)
    return ("count", right, path)


def _write(event: Event) -> Effect:
    value = event.args[0] if event.args else None
    if (event.name == "open" and isinstance(value, int)) or event.target in _NOTHING:
        return ()
    path = event.target
    if path is None:
        return ("count", "untold", f"{event.name} {_cut(event.asked or _type(value))}")
    if event.name in _DELETES:
        return ("delete", path)
    if event.name == "os.rename":
        from belljar.events.targets import targets

        pairs = targets(event)
        source = pairs[1][1] if len(pairs) > 1 else None
        return ("rename", source or _text(value) or "?", path)
    return ("write", path + "/" if event.name == "os.mkdir" else path)


def _import(event: Event) -> Effect:
    name = _cut(_text(event.args[0]) if event.args else "?")
    file = _text(event.args[1]) if len(event.args) > 1 else ""
    if is_library(file):
        file = ""  # a C module where C modules belong
    top = name.partition(".")[0]
    known = top in sys.stdlib_module_names or top.startswith("_sysconfigdata_")
    return ("import", name, not known, file)


def _compile(event: Event) -> Effect:
    file = _text(event.args[1]) if len(event.args) > 1 else ""
    if not file.startswith("<") or file.startswith("<frozen") or not event.stack:
        return ()  # from a file, or the command line itself
    source = _text(event.args[0])
    if source and _MADE.fullmatch(source.strip()):
        return ("made",)
    where = event.stack[0]
    words = " ".join(source[:_LONGEST].split())
    return ("count", "code", (where.file, where.line, words[:48] or file[:48]))


def _command(event: Event) -> str:
    """What a program was started with, as far as the event tells, as a shell would be told."""
    if event.name == "os.system":
        return f"/bin/sh -c {_quoted(_text(event.args[0]) if event.args else '?')}"
    words = event.args[1] if len(event.args) > 1 else None
    if isinstance(words, tuple):
        return " ".join(_quoted(_text(word)) if word is not None else "?" for word in words)
    return (_quoted(_text(event.args[0])) if event.args else "") or event.target or "?"


def _quoted(word: str) -> str:
    if word and not _SPECIAL.search(word):
        return word
    return "'" + word.replace("'", "'\\''") + "'"


def _text(value: object) -> str:
    """Recorded text, "" for anything else."""
    return text_of(getattr(value, "text", value)) or ""


def _type(value: object) -> str:
    name = getattr(value, "name", None)
    return f"a {name}" if isinstance(name, str) else "?"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
