"""What a recorded program did, by package, on one screen.

The text comes from the program: everything is escaped, nothing is believed beyond its event.
"""

from __future__ import annotations

from collections import Counter
from textwrap import wrap

from belljar.events.paths import absolute
from belljar.report.fold import MORE, Paths, fit, flow
from belljar.report.packages import KINDS, Packages
from belljar.report.text import paint, printable
from belljar.watch.attribute import INTERPRETER, PROGRAM, STANDARD
from belljar.watch.processes import Processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, Final

    from belljar.report.packages import Package
    from belljar.watch.processes import Process

WIDTH: Final = 100
HEIGHT: Final = 40
#: Lines for a row, lines of processes: from generous to terse.
_LEVELS: Final = ((6, 12), (4, 10), (3, 8), (2, 6), (1, 4))
_FOLDS: Final = (24, 16, 12, 9, 7, 5, 4, 3, 2, 1)
_LOUD: Final = frozenset(("refused", "network", "process", "native", "deleted"))
_PATHS: Final = frozenset(("read", "list", "write", "deleted"))
_OWN: Final = (INTERPRETER, STANDARD)
_MOST_FINDINGS: Final = 8
_MOST_UNTOLD: Final = 4
_LINKS: Final = 2  # lines of links


class Summary:
    """Packages, processes and what ended them; `lines` renders all of it.

    What the interpreter and the standard library read of their own, and imports, are folded into
    one line.
    """

    def __init__(self, cwd: str = "/", home: str = "", script: str = "") -> None:
        script = absolute(script, cwd) if script else ""
        self.packages = Packages(script)
        self.processes = Processes()
        self.events = self.refused = self.left_out = 0
        self.refusals = 0  # alerts that are refusals
        self.chosen = False  # only some events were asked for, and are counted
        self.notes: list[str] = []
        self._paths = Paths(cwd, home)
        self._links: dict[str, str] = {}
        self._program = script.rpartition("/")[2]

    def lines(
        self,
        findings: Iterable[Any] = (),
        alerts: Sequence[str] = (),
        *,
        ended: str = "",
        colour: bool = False,
        width: int = WIDTH,
        height: int = HEIGHT,
    ) -> list[str]:
        """The screen: a headline, a block for each package, processes, then what is wrong.

        `ended` says how the program ended, `alerts` are the names of rules that fired. As much is
        folded as it takes to stay within `height` lines of `width`.
        """
        tail = self._tail(findings, alerts, colour, width)
        shown, own = self._order()
        self._follow(shown)
        out: list[str] = []
        for lines, tree in _LEVELS:
            blocks = [self._block(one, lines, colour, width) for one in shown]
            middle = self._tree(tree, colour, width)
            room = height - 4 - len(middle) - len(tail)
            out = [line for block in blocks for line in block]
            if len(out) <= room:
                break
        else:
            out = self._most_telling(shown, blocks, room, width)
        return [self._head(ended, alerts, colour), *out, *self._folded(own, width), *middle, *tail]

    def _head(self, ended: str, alerts: Sequence[str], colour: bool) -> str:
        count = self.processes.seen
        head = f"belljar: {_plural(self.events, 'event')} announced by "
        head += _plural(count, "process", "processes")
        times = [(p.began, p.ended) for p in self.processes.all if p.ended >= p.began]
        if times:
            seconds = (max(e for _, e in times) - min(b for b, _ in times)) / 1e9
            head += f" in {seconds:.1f} s" if 0 <= seconds < 1e9 else ""
        refused = max(self.refused, self.refusals)
        head += f", {refused} refused" if refused else ""
        only = len(alerts) - self.refusals
        head += f", {_plural(only, 'alert')}" if only > 0 else ""
        if ended:
            head += f", {ended}"
        return paint(head, "bold", colour)

    def _order(self) -> tuple[list[Package], list[Package]]:
        """Packages with something to tell, the most telling first; and those that are folded."""
        shown: list[Package] = []
        own: list[Package] = []
        for one in self.packages.all.values():
            tells = one.rows or one.temporary or (one.imports and one.label == PROGRAM)
            (shown if tells else own).append(one)
        shown.sort(key=lambda p: (p.label in _OWN, -p.weight, p.label != PROGRAM, p.label))
        return shown, own

    def _follow(self, shown: Iterable[Package]) -> None:
        """See where the links among all paths lead now that the program has ended."""
        from belljar.report.links import leading

        paths = {path for one in shown if one.label not in _OWN for path in _paths(one)}
        self._links = leading(sorted(paths)) if paths else {}

    def _name(self, package: Package) -> str:
        if package.label != PROGRAM:
            return printable(package.label, 80)[:WIDTH]  # escapes make it longer
        return "the program" + (f" ({printable(self._program, 60)})" if self._program else "")

    def _block(self, package: Package, lines: int, colour: bool, width: int) -> list[str]:
        out = [paint(self._name(package), "bold", colour)]
        for kind, label, _ in KINDS:
            head = f"  {label:<8} "
            rows = self._rows(package, kind, head, lines, width)
            if rows:
                hue = "yellow" if kind in _LOUD else "dim"
                out += [paint(head, hue, colour) + rows[0][len(head) :], *rows[1:]]
        led = [
            f"{self._paths.short(link)} to {self._paths.short(self._links[link])}"
            for link in _through(package, self._links)
        ]
        rows = flow("  links    ", led, width, _LINKS) if led else []
        out += [paint(row[:11], "dim", colour) + row[11:] for row in rows]
        imported = self._imported(package)
        if imported and package.label not in _OWN:
            head = "  imports  "
            rows = flow(head, imported, width, 1)
            out += [paint(head, "dim", colour) + row[len(head) :] for row in rows]
        return out

    def _rows(self, package: Package, kind: str, head: str, lines: int, width: int) -> list[str]:
        row = package.rows.get(kind)
        more = []
        if kind == "write" and package.temporary:
            more = [_plural(package.temporary, "temporary file")]
        if kind in _PATHS and row:
            for most in _FOLDS:  # whatever tells the most in this room
                texts = [*self._paths.fold(row, most), *more]
                rows = flow(head, texts, width, lines + 1)
                if len(rows) <= lines:
                    return rows
            return flow(head, texts, width, lines)
        texts = more
        if kind == "code" and row:
            room = width - len(head) - 16
            texts = [self._code(key, room) + _times(count) for key, count in row.most_common()]
        elif kind == "untold" and row and len(row) > _MOST_UNTOLD:
            texts = _grouped(row)
        elif row:
            texts = [str(key) + _times(count) for key, count in sorted(row.items())]
        return flow(head, texts, width, lines)

    def _code(self, key: tuple[str, int, str], room: int) -> str:
        """Where a text was compiled, and how it begins."""
        file, line, source = key
        if not line:
            return f"{file}: {source}" if source else file
        place = f"{self._paths.short(_within(file)).strip(chr(39))}:{line}: "
        source = printable(source)
        room = max(12, room - len(printable(place)))
        return place + (source if len(source) <= room else source[: room - 3] + "...")

    def _imported(self, package: Package) -> list[str]:
        """Names that are not the package's own, and in how many imports."""
        own = package.label.partition(" ")[0].lower()
        names = sorted(name for name in package.imported if name.lower() != own)
        if not package.imports:
            return []
        return [*names, f"{'of ' if names else ''}{_plural(package.imports, 'module')}"]

    def _most_telling(
        self, shown: list[Package], blocks: list[list[str]], room: int, width: int
    ) -> list[str]:
        """The first blocks that fit, and the names of the rest."""
        out: list[str] = []
        for number, block in enumerate(blocks):
            if out and len(out) + len(block) + 1 > room:
                names = [self._name(one) for one in shown[number:]]
                return out + flow("and  ", names, width, 1)
            out += block
        return out

    def _folded(self, own: Iterable[Package], width: int) -> list[str]:
        """One line for what the interpreter and its libraries did of their own."""
        every = self.packages.all.values()
        loaded = sum(one.loaded for one in every)
        made = sum(one.made for one in every)
        imports = sum(one.imports for one in own if one.label in _OWN)
        names = sorted(printable(one.label, 40) for one in own if one.label not in _OWN)
        texts = []
        if loaded:
            texts.append(f"{_plural(loaded, 'look')} into libraries")
        if imports:
            texts.append(f"{_plural(imports, 'import')} by the standard library")
        if made:
            texts.append(f"{_plural(made, 'text')} compiled for named tuples and the like")
        if self.left_out:
            texts.append(f"{_plural(self.left_out, 'event')} of other kinds")
        out = flow("also  ", texts, width, 2) if texts else []
        return [*flow("only imports  ", [n for n in names if n], width, 1), *out]

    def _tree(self, most: int, colour: bool, width: int) -> list[str]:
        """The processes, where there is more than one."""
        tree = self.processes.tree()
        if self.processes.seen < 2 or not tree:
            return []
        out = [paint("processes", "bold", colour)]
        told = tree if len(tree) <= most else tree[: most - 1]
        for depth, process in told:
            out.append(self._process(min(depth, 6), process, width))
        if self.processes.seen > len(told):
            out.append(f"  and {self.processes.seen - len(told)} more")
        return out

    def _process(self, depth: int, process: Process, width: int) -> str:
        count = process.chosen if self.chosen else process.events
        end = {"": "", "bye": "", "exec": ", ended by exec"}.get(process.how, f", {process.how}")
        if process.end:
            end = f", {'' if process.end.startswith('exit') else 'ended by '}{process.end}"
        tail = f"  {printable(process.python, 12)}, {_plural(count, 'event')}{end}"
        start = "  " * (depth + 1) + f"{process.pid} "
        command = " ".join(process.argv) or "?"
        if process.forked:
            command = f"fork of {process.ppid}"
        elif process.argv:
            words = (process.argv[0].rpartition("/")[2], *process.argv[1:])
            command = " ".join(words)
        room = max(20, width - len(start) - len(tail))
        return start + fit(command, room) + tail

    def _tail(
        self, findings: Iterable[Any], alerts: Sequence[str], colour: bool, width: int
    ) -> list[str]:
        """What is wrong, last, where a person looks first."""
        texts = [
            f"{self._paths.short(file)} stands in front of the standard module {module}"
            for file, module in self.packages.shadows.items()
        ]
        texts += map(str, findings)
        out = []
        if alerts:
            counted = Counter(alerts)
            names = [name + _times(count) for name, count in sorted(counted.items())]
            out = [paint(row, "yellow", colour) for row in flow("alerts   ", names, width, 2)]
        for text in texts[:_MOST_FINDINGS]:
            out += [paint(line, "red", colour) for line in _wrapped(f"finding: {text}", width)]
        if len(texts) > _MOST_FINDINGS:
            more = _plural(len(texts) - _MOST_FINDINGS, "more finding")
            out.append(paint(f"and {more}", "red", colour))
        notes = [line for note in self.notes for line in _wrapped(f"note: {note}", width)]
        return out + [paint(note, "dim", colour) for note in notes]


def _paths(package: Package) -> Iterable[str]:
    """What a package read, listed and wrote; of what it removed the directory, which is there."""
    for kind in _PATHS:
        for told in package.rows.get(kind, ()):
            path = told.removesuffix(MORE).rstrip("/")
            yield path.rpartition("/")[0] if kind == "deleted" else path


def _through(package: Package, links: dict[str, str]) -> list[str]:
    """Those of `links` on the way to a package's paths, in order."""
    if not links or package.label in _OWN:
        return []
    found = set()
    for path in _paths(package):
        at = len(path)
        while at > 0 and path[:at] not in links:
            at = path.rfind("/", 0, at)
        if at > 0:
            found.add(path[:at])
    return sorted(found)


def _plural(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _times(count: int) -> str:
    return f" ({count} times)" if count > 1 else ""


def _grouped(row: Counter[str]) -> list[str]:
    """Names without their directory, of which there are many: some of each verb, and how many."""
    verbs: dict[str, list[str]] = {}
    for key in sorted(row):
        verb, _, name = key.partition(" ")
        verbs.setdefault(verb, []).append(name)
    texts = []
    for verb, names in verbs.items():
        more = f" and {len(names) - 2} more" if len(names) > 2 else ""
        count = sum(row[f"{verb} {name}" if name else verb] for name in names)
        some = ", ".join(fit(name, 16) for name in names[:2])
        texts.append(f"{verb} {some}{more}{_times(count)}")
    return texts


def _wrapped(text: str, width: int) -> list[str]:
    """A sentence in two lines at most."""
    lines = wrap(fit(text, 2 * width - 20), width, subsequent_indent="  ")
    return lines[:2]


def _within(path: str) -> str:
    """A file of a package as the package names it."""
    for site in ("/site-packages/", "/dist-packages/"):
        _, found, rest = path.rpartition(site)
        if found:
            return rest
    return path
