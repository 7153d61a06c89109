"""What a START entry says was started, by the names that a person has for it.

`belljar run` notes `program` (kind and target) and the arguments in `argv`; `belljar watch` notes
the whole command line in `argv`. Whoever sent it may have said anything.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Final

_KINDS: Final = ("script", "module", "code")
#: Options of Python that take the word behind them.
_TAKING: Final = ("-X", "-W", "--check-hash-based-pycs")


def program(argv: Sequence[str]) -> tuple[str, str]:
    """Kind (`script`, `module`, `code` or `command`) and target of a command line.

    >>> program(["/usr/bin/python3", "-B", "job.py", "x"]), program(["ls", "-l"]), program([])
    (('script', 'job.py'), ('command', 'ls'), ('command', ''))
    """
    first = argv[0] if argv else ""
    if first.rpartition("/")[2].startswith(("python", "pypy")):
        words = iter(argv[1:])
        for word in words:
            if not word.startswith("-") or word == "-":
                return "script", word
            if not word.startswith("--") and word[-1] in "mc":
                return "module" if word[-1] == "m" else "code", next(words, "")
            if word in _TAKING:
                next(words, "")
    return "command", first


def guest(kind: str, target: str) -> str:
    """What a person calls it.

    >>> guest("script", "/srv/job.py"), guest("module", "http.server"), guest("code", "pass")
    ('job', 'http.server', '-c')
    """
    if kind == "code":
        return "-c"
    if kind == "module":
        return target
    return target.rstrip("/").rpartition("/")[2].removesuffix(".py")


class Started:
    """`guest`, `program` and `command` (one line, as a shell takes it) of the START map `data`;
    empty where it does not tell.

    >>> Started({"program": ["script", "job.py"], "argv": ["a b"]}).command
    "job.py 'a b'"
    """

    def __init__(self, data: Mapping[Any, Any]) -> None:
        from shlex import join

        argv = _words(data.get("argv"))
        said = _words(data.get("program"))
        if len(said) == 2 and said[0] in _KINDS:
            kind, self.program = said
            before = {"module": ["-m"], "code": ["-c"]}.get(kind, [])
            self.command = join([*before, self.program, *argv])
        else:
            kind, self.program = program(argv)
            self.command = join(argv)
        name = data.get("guest")
        self.guest = name if isinstance(name, str) and name else guest(kind, self.program)


def _words(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
