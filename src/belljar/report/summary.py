"""What a recorded program did, on one screen.

The text comes from the program: everything is escaped, nothing is believed beyond its event.
"""

from __future__ import annotations

import sys
from collections import Counter

from belljar.report.text import paint, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Final

    from belljar.model import Event

_MOST_LINES: Final = 20
_WIDTH: Final = 100
#: Events whose program the caller beneath names again.
_AGAIN: Final = frozenset(("os.posix_spawn", "os.exec", "_posixsubprocess.fork_exec"))
_SECTIONS: Final = (
    ("read", "files read"),
    ("list", "directories listed"),
    ("write", "files written"),
    ("network", "network"),
    ("process", "processes"),
    ("third-party", "third-party imports"),
    ("import", "other imports"),
    ("native", "native code"),
    ("code", "code generated"),
)  # fmt: skip


class Summary:
    """Counts events as they come; `lines` renders what was counted.

    The interpreter's own reading of its libraries, imports of the standard library and code that
    the standard library generates are folded into one line each.
    """

    def __init__(self) -> None:
        self.events = 0
        self.processes = 0
        self.refused = 0
        self._seen: dict[str, Counter[str]] = {key: Counter() for key, _ in _SECTIONS}
        self._folded: Counter[str] = Counter()
        self._imports: Counter[str] = Counter()
        self._site: set[str] = set()
        self._started: tuple[Any, ...] | None = None

    def hello(self) -> None:
        """One more process was seen to start."""
        self.processes += 1

    def add(self, event: Event) -> None:
        """Count one event."""
        self.events += 1
        self.refused += event.refused
        right, target = event.right, event.target or event.asked or "?"
        if event.name == "open" and event.args and isinstance(event.args[0], int):
            return  # a descriptor that is open already
        if event.name == "import":
            self._import(event)
        elif event.name == "compile":
            self._compile(event)
        elif right in ("read", "list"):
            self._read(event, right, target)
        elif right in ("write", "append"):
            if event.name == "os.rename":
                target = f"{_text(event.args[:1])} -> {target}"
            self._seen["write"][target] += 1
        elif right in ("connect", "bind", "resolve"):
            self._seen["network"][f"{right} {target}"] += 1
        elif right == "run":
            self._run(event)
        elif event.name in ("os.fork", "os.forkpty"):
            self._seen["process"]["fork"] += 1
        elif right == "signal":
            self._seen["process"][f"signal to {target}"] += 1
        elif right == "native" and event.name != "import":
            self._seen["native"][f"{event.name} {target}"] += 1

    def _run(self, event: Event) -> None:
        """One start, which `subprocess` tells twice: by its event and by that of what it uses."""
        started = (event.pid, event.thread, _command(event), event.stack[:1])
        again = started == self._started or _from(event, "/subprocess.py")
        if event.name in _AGAIN and again:
            self._started = None
            return
        self._started = started if event.name == "subprocess.Popen" else None
        self._seen["process"][_command(event)] += 1

    def lines(self, findings: Iterable[Any] = (), *, colour: bool = False) -> list[str]:
        """The screen: a headline, a block for each kind of thing that happened, the findings."""
        self._sort_imports()
        plural = "process" if self.processes == 1 else "processes"
        events = "event" if self.events == 1 else "events"
        head = f"belljar: {self.events} {events} from {self.processes} {plural}"
        if self.refused:
            head += f", {self.refused} refused"
        out = [paint(head, "bold", colour)]
        for key, title in _SECTIONS:
            seen = self._seen[key]
            folded = self._folded[key]
            if seen or folded:
                out.append(paint(f"  {title}:", "bold", colour))
                out += self._block(seen)
            if folded:
                out.append(f"    {'and ' if seen else ''}{folded} {_FOLDED[key]}")
        for finding in findings:
            out.append(paint(f"  finding: {printable(str(finding))}", "red", colour))
        return out

    def _block(self, seen: Counter[str]) -> list[str]:
        out = []
        for text, count in sorted(seen.items())[:_MOST_LINES]:
            times = f"  ({count} times)" if count > 1 else ""
            out.append(f"    {printable(text, _WIDTH)}{times}")
        if len(seen) > _MOST_LINES:
            out.append(f"    and {len(seen) - _MOST_LINES} more")
        return out

    def _read(self, event: Event, right: str, target: str) -> None:
        name = _package(target)
        if name:
            self._site.add(name)
        folds = name is not None or target.endswith((".pyc", "/pyvenv.cfg", "._pth"))
        startup = _from(event, "<frozen getpath>") or (not event.stack and right == "list")
        if folds or startup:
            self._folded[right] += 1
        else:
            self._seen[right][target] += 1

    def _import(self, event: Event) -> None:
        name = _text(event.args[:1]).partition(".")[0]
        if name in sys.stdlib_module_names:
            self._folded["import"] += 1
        else:
            self._imports[name] += 1

    def _sort_imports(self) -> None:
        for name, count in self._imports.items():
            self._seen["third-party" if name in self._site else "import"][name] += count
        self._imports.clear()

    def _compile(self, event: Event) -> None:
        file = _text(event.args[1:2])
        if not file.startswith("<") or file.startswith("<frozen") or not event.stack:
            return  # from a file, or the command line itself
        where = event.stack[0]
        if _package(where.file) == "":
            self._folded["code"] += 1
            return
        source = " ".join(_text(event.args[:1]).split())
        self._seen["code"][f"{where.file}:{where.line}: {source[:60] or file}"] += 1


_FOLDED: Final = {
    "read": "of the interpreter and its libraries",
    "list": "of the interpreter and its libraries",
    "import": "of the standard library",
    "code": "by the standard library",
}


def _package(path: str) -> str | None:
    """The top-level name that a library file belongs to, "" for the standard library, None for
    a file that is of no library.
    """
    for site in ("/site-packages/", "/dist-packages/"):
        _, found, rest = path.rpartition(site)
        if found:
            return rest.partition("/")[0].partition(".")[0] or "?"
    if path.endswith(("/site-packages", "/dist-packages")):
        return ""
    _, found, rest = path.rpartition("/lib/python")
    if found and rest[:1] in "23" and path.startswith("/"):
        return ""
    return None


def _from(event: Event, suffix: str) -> bool:
    return bool(event.stack) and event.stack[0].file.endswith(suffix)


def _text(values: tuple[Any, ...]) -> str:
    """The first of `values` as text, "" where there is none."""
    value = values[0] if values else None
    value = getattr(value, "text", value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value if isinstance(value, str) else ""


def _command(event: Event) -> str:
    """What a program was started with, as far as the event tells."""
    words = event.args[1] if len(event.args) > 1 else None
    if isinstance(words, tuple):
        return " ".join(_text((word,)) or "?" for word in words)
    return _text(event.args[:1]) or event.target or "?"
