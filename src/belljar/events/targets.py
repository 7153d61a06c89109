"""What an event is about: the rights it needs and their targets, from its recorded arguments.

Trusts nothing: arguments come from the guest, may be missing, of any recorded type, or lies.
Every function is total. Where the event does not tell the target, the answer says None; it does
not guess.
"""

from __future__ import annotations

from belljar.events.addresses import address_of
from belljar.events.catalogue import BY_NAME
from belljar.events.paths import absolute
from belljar.events.values import BigInt, Code, Cut, Socket, TypeName, path_of, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.events.catalogue import Row
    from belljar.model import Event

    #: right (or None), target (or None), the target as asked (or None)
    Resolved = tuple[str | None, str | None, str | None]


__all__ = [
    "BigInt", "Code", "Cut", "Socket", "TypeName", "address_of", "open_rights",
    "resolve", "targets", "text_of",
]  # fmt: skip

_PATH_RIGHTS: Final = ("read", "list", "write", "append", "execute", "native")
_WRONLY, _RDWR, _CREAT, _TRUNC, _APPEND, _DIRECTORY = 1, 2, 0o100, 0o1000, 0o2000, 0o200000
#: Events that can need more than one right on one target.
_SEVERAL: Final = frozenset(("open", "belljar.open", "os.rename", "os.link", "import"))


def _asked(value: object) -> str | None:
    if type(value) is Cut:
        return f"{value.text}…"
    return text_of(value)


def _arg(args: tuple[object, ...], index: int) -> object:
    return args[index] if 0 <= index < len(args) else None


def open_rights(mode: object, flags: object) -> tuple[str, ...]:
    """The rights that `open` needs, most telling first.

    >>> open_rights("r+", 2), open_rights(None, 0o2101)
    (('write', 'read'), ('append',))
    """
    how = mode if type(mode) is str else ""
    bits = flags if type(flags) is int else 0
    both = "+" in how or bits & 3 == _RDWR
    appends = "a" in how or bits & _APPEND
    writes = both or bits & 3 == _WRONLY or any(c in how for c in "wxa")
    if bits & _TRUNC or "w" in how or (writes and not appends):
        right = "write"
    elif writes:
        right = "append"
    elif bits & _CREAT:
        right = "write"
    else:
        return ("list",) if bits & _DIRECTORY else ("read",)
    return (right, "read") if both else (right,)


def _starts_elsewhere(row: Row, args: tuple[object, ...], index: int) -> bool:
    """Is a relative path at `index` relative to another directory than the event's `cwd`?

    `cwd` is that of the descriptor which the event tells, of two paths the second's, the first's
    where the second is absolute.
    """
    names = row[1].split()
    if "dir_fd" in names:
        return type(_arg(args, names.index("dir_fd"))) is not int  # cut away by the recorder
    own = f"{names[index]}_dir_fd"
    if own not in names:
        return False
    mine = _arg(args, names.index(own))
    if type(mine) is not int:
        return True
    second = text_of(_arg(args, 1))
    return index == 0 and not (second or "").startswith("/") and _arg(args, 3) != mine


def _file(row: Row, args: tuple[object, ...], index: int, cwd: str | None) -> str | None:
    value = _arg(args, index)
    if row[0] in ("os.listdir", "os.scandir") and value is None and args:
        return absolute(".", cwd) if cwd else None
    if type(value) is int and row[0] != "open":  # then cwd is what the descriptor stands for
        return absolute(cwd, "/") if cwd else None
    hidden = row[0] == "open" and type(_arg(args, 1)) is not str
    return path_of(value, None if hidden or _starts_elsewhere(row, args, index) else cwd)


def _program(name: str, args: tuple[object, ...], index: int, cwd: str | None) -> str | None:
    if name == "os.system":
        return "/bin/sh"
    value = _arg(args, index)
    if name == "os.exec" and type(value) is int:
        return absolute(cwd, "/") if cwd else None
    if name == "_posixsubprocess.fork_exec":
        if type(value) is not tuple or len(value) != 1:
            return None
        value = value[0]
    program = text_of(value)
    if program is None:
        return None
    if "/" not in program and name in ("subprocess.Popen", "os.posix_spawn", "belljar.exec"):
        return program or None
    if name == "subprocess.Popen" and _arg(args, 2) is not None:
        cwd = path_of(_arg(args, 2), cwd)  # a relative program is looked up in the new directory
    return path_of(program, cwd)


def _one(row: Row, args: tuple[object, ...], cwd: str | None) -> Resolved:
    name, _, right, index, kind = row[:5]
    value = _arg(args, index)
    target: str | None
    if right in ("connect", "bind"):
        target = address_of(value, cwd, _arg(args, 0), name)
        return right, target, target
    if right == "resolve":
        if type(value) is tuple:
            value = _arg(value, 0)
        target = text_of(value) or None
    elif right == "run":
        target = _program(name, args, index, cwd)
    elif right == "signal":
        target = str(value) if type(value) is int else None
    elif name == "sqlite3.connect":
        target = None if _database_is_nopath_of(value) else path_of(value, cwd)
    elif right == "native" and "/" not in (text_of(value) or "/"):
        target = text_of(value)  # the dynamic loader looks it up
    elif right in _PATH_RIGHTS or (kind == "file" and index >= 0):
        target = _file(row, args, index, cwd)
    else:
        target = text_of(value) or None
    return right or None, target, _asked(value)


def _database_is_nopath_of(value: object) -> bool:
    text = text_of(value)
    return not text or text == ":memory:" or text.startswith("file:")


def resolve(name: str, args: tuple[object, ...], cwd: str | None) -> tuple[Resolved, ...]:
    """Every right that the event needs, with its target; the first is what `Event` shows.

    Never raises. An event without a right gives one entry whose right is None.

    >>> resolve("os.rename", ("a", "/b", -1, -1), "/w")
    (('write', '/b', '/b'), ('write', '/w/a', 'a'))
    """
    row = BY_NAME.get(name)
    if row is None:
        return ((None, None, None),)
    if cwd is not None and not cwd.startswith("/"):
        cwd = None
    right, target, asked = _one(row, args, cwd)
    if name == "exec" and type(code := _arg(args, 0)) is Code:
        return ((right, code.file, code.file),)
    if name in ("open", "belljar.open"):
        return tuple((r, target, asked) for r in open_rights(_arg(args, 1), _arg(args, 2)))
    if name in ("os.rename", "os.link"):
        other = _file(row, args, 0, cwd)
        return (right, target, asked), (right, other, _asked(_arg(args, 0)))
    if name == "import" and (file := text_of(_arg(args, 1))):
        return (right, target, asked), ("native", path_of(file, cwd), file)
    if name == "belljar.denied" and _arg(args, 0) != "import":
        return ((None, None, asked),)
    if name == "sqlite3.connect" and target is None and asked in ("", ":memory:"):
        return ((None, None, asked),)
    return ((right, target, asked),)


def targets(event: Event) -> tuple[tuple[str, str | None], ...]:
    """Every right that `event` needs, with its target or None; the event's own comes first."""
    first = () if event.right is None else ((event.right, event.target),)
    if event.name not in _SEVERAL:
        return first
    more = resolve(event.name, event.args, event.cwd)[1:]
    if event.name in ("open", "belljar.open"):  # one path, whatever it resolved to
        return first + tuple((right, event.target) for right, _, _ in more if right is not None)
    return first + tuple((right, target) for right, target, _ in more if right is not None)
