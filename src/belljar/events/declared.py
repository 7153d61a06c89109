"""Events that installed distributions declare, found without running a line of their code.

An entry point of the group `belljar.events` names a data file beside the distribution's own
modules: `shop = "shop:belljar.toml"` in the project's `[project.entry-points."belljar.events"]`
is the file `shop/belljar.toml`. `docs/application-events.md` has a worked example.
"""

from __future__ import annotations

import os
import stat

from belljar.events.catalogue import BY_NAME
from belljar.events.declaration import Declaration, read
from belljar.events.kinds import kind
from belljar.events.kinds import mismatch as of_kinds
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Final

GROUP: Final = "belljar.events"
_MOST_FOLDERS: Final = 64
_MOST_DISTRIBUTIONS: Final = 10_000
_MOST_FILES: Final = 20
_MOST_EVENTS: Final = 1000
_MOST_BYTES: Final = 16 << 10  # of one file; `declaration` bounds what its lines may be
_MOST_ENTRIES: Final = 1 << 18
_MOST_IN_ALL: Final = 16 << 20  # of all lists of entry points together


class Declared(Value):
    """What was found: the events, and one line for each file that could not be used.

    The problems hold text from packages: escape it before it is shown.
    """

    events: tuple[Declaration, ...] = ()
    problems: tuple[str, ...] = ()


def declared(paths: Sequence[str]) -> Declared:
    """The events that the distributions in some directories (`site-packages`) declare.

    Reads files only, and no more than some megabytes of them; a distribution that is wrong, or
    declares what another one declares, declares nothing, and is a problem. Never raises.

    >>> declared(["/nowhere"])
    Declared(events=(), problems=())
    """
    events: dict[str, Declaration] = {}
    twice: set[str] = set()
    problems: list[str] = []
    for number, (folder, label, value) in enumerate(_entry_points(paths)):
        if number == _MOST_FILES:
            problems.append(f"more than {_MOST_FILES} files declare events: the rest is not read")
            break
        try:
            found = read(_text(_locate(folder, value, paths)), label)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            problems.append(f"{label}: {value}: {reason}")
            continue
        for event in found:
            if event.name in events:
                twice.add(event.name)
                problems.append(
                    f"{label}: {event.name} is declared by {events[event.name].distribution}, too"
                )
            elif len(events) < _MOST_EVENTS:
                events[event.name] = event
    kept = tuple(event for name, event in events.items() if name not in twice)
    return Declared(kept, tuple(problems))


def places(program: str, path: str = "") -> list[str]:
    """The directories of packages that go with the interpreter, or script, at an absolute path,
    by where it lies; behind those of `path`, a PYTHONPATH.

    >>> places("/nowhere/bin/python", "/a:/b")
    ['/a', '/b']
    """
    found = [entry for entry in path.split(":") if entry.startswith("/")]
    for binary in dict.fromkeys((program, os.path.realpath(program))):
        library = os.path.join(os.path.dirname(os.path.dirname(binary)), "lib")
        try:
            names = sorted(n for n in os.listdir(library) if n.startswith("python3"))
        except OSError:
            continue
        for name in names:
            for packages in ("site-packages", "dist-packages"):
                folder = f"{library}/{name}/{packages}"
                if os.path.isdir(folder):
                    found.append(folder)
    return list(dict.fromkeys(found))


_registered: dict[str, Declaration] = {}


def register(found: Iterable[Declaration]) -> None:
    """Let this process know of declared events: right, target and category of what is decoded
    from here on. Rows of the catalogue itself are never replaced.
    """
    for event in found:
        if event.name not in BY_NAME or event.name in _registered:
            BY_NAME[event.name] = event.row()
            _registered[event.name] = event


def forget() -> None:
    """Undo every `register`."""
    for name in _registered:
        BY_NAME.pop(name, None)
    _registered.clear()


def declaration(name: str) -> Declaration | None:
    """What is registered for an event, or None."""
    return _registered.get(name)


def mismatch(name: str, args: Sequence[object]) -> str:
    """How the arguments of a recorded event differ from what was declared; "" where they do not,
    or where nothing was.
    """
    event = _registered.get(name)
    if event is None:
        return ""
    return of_kinds([types for _, types in event.arguments], [kind(value) for value in args])


def _entry_points(paths: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """(directory, `name version`, value) of every entry point of our group, in order of name."""
    left, characters = _MOST_DISTRIBUTIONS, _MOST_IN_ALL
    for folder in list(dict.fromkeys(paths))[:_MOST_FOLDERS]:
        try:
            names = sorted(n for n in os.listdir(folder) if n.endswith(".dist-info"))
        except OSError:
            continue
        for name in names[:left]:
            if characters <= 0:
                return
            try:
                text = _text(f"{folder}/{name}/entry_points.txt", _MOST_ENTRIES)
            except (OSError, ValueError):
                continue
            characters -= len(text)
            project, _, version = name.removesuffix(".dist-info").partition("-")
            for value in _values(text):
                yield folder, f"{project} {version}".strip(), value
        left -= min(left, len(names))


def _values(text: str) -> Iterator[str]:
    section = ""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("[") and stripped.endswith("]"):
            section = stripped[1:-1].strip()
        elif section == GROUP and "=" in stripped and stripped[0] not in "#;":
            yield stripped.partition("=")[2].strip()


def _locate(folder: str, value: str, paths: Sequence[str]) -> str:
    """The file that `MODULE:FILE` names, in the distribution's directory or, for one that is
    installed in place, in one of the others. Raises `ValueError`.
    """
    module, _, file = value.partition(":")
    words = module.split(".")
    plain = file.replace(".", "").replace("_", "")
    if not all(word.isidentifier() for word in words) or not file.endswith(".toml"):
        raise ValueError("must be MODULE:FILE.toml")
    if not plain.isalnum() or file.startswith(".") or not value.isascii():
        raise ValueError("must be MODULE:FILE.toml")
    for place in (folder, *paths):
        path = os.path.join(place, *words, file)
        if os.path.lexists(path):
            real = os.path.realpath(path)
            if not real.startswith(os.path.realpath(place).rstrip("/") + "/"):
                raise ValueError("the file lies outside of the directory of packages")
            return real
    raise ValueError("there is no such file")


def _text(path: str, most: int = _MOST_BYTES) -> str:
    """A regular file's text; what is none, is too long or no UTF-8 raises."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a regular file")
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"longer than {most} bytes")
    return data.decode("utf-8")
