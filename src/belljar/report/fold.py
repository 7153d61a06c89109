"""Many paths in few words, and words in lines of a given width."""

from __future__ import annotations

from belljar.report.text import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Final


#: The end of a path that stands for more files of its directory than are known.
MORE: Final = "/..."


class Paths:
    """Shortens paths for a person: `./` for the working directory, `~/` for the home.

    >>> Paths("/home/me/p", "/home/me").short("/home/me/p/x")
    './x'
    """

    def __init__(self, cwd: str, home: str) -> None:
        self._cwd = cwd if cwd != "/" else ""
        self._home = home.rstrip("/")

    def short(self, path: str) -> str:
        """`path`, quoted where its own text could be taken for more than one."""
        for root, sign in ((self._cwd, "."), (self._home, "~")):
            if root and (path == root or path.startswith(root + "/")):
                path = sign + path[len(root) :]
                break
        return f"'{path}'" if " " in path or "," in path or "'" in path else path

    def fold(self, paths: Iterable[str], most: int) -> list[str]:
        """At most `most` texts that stand for all of `paths`: files, or directories with the
        number of paths beneath them. A path that ends in `/` is a directory, one that ends in
        `MORE` means that there are more than those that are named.

        >>> Paths("/w", "").fold(["/a/b/1", "/a/b/2", "/a/b/3", "/c"], 2)
        ['/c', '/a/b/ (3 files)']
        """
        root = _Node("")
        for path in paths:
            root.add(path)
        groups = [child.narrow() for child in root.children.values()]
        while True:
            fitting = [g for g in groups if g.children and len(groups) - 1 + g.parts <= most]
            if not fitting:
                break
            # what splits into the fewest first: it tells the most for the room it takes
            group = min(fitting, key=lambda g: (g.parts, g.path))
            groups.remove(group)
            groups += group.split()
        groups.sort(key=lambda g: (g.count > 1, g.path))
        left = groups[most - 1 :] if len(groups) > most else []
        if left:
            groups = sorted(groups, key=lambda g: -g.count)
            left = groups[most - 1 :]
            groups = sorted(groups[: most - 1], key=lambda g: (g.count > 1, g.path))
        told = [self._tell(group) for group in groups]
        if left:
            told.append(f"{sum(g.count for g in left)} elsewhere")
        return told

    def _tell(self, group: _Node) -> str:
        if not group.children:
            return self.short(group.path + ("/" if group.is_directory else ""))
        what = "file" if group.count == 1 else "files"
        over = "over " if group.more else ""
        return f"{self.short(group.path + '/')} ({over}{group.count} {what})"


class _Node:
    """A directory or file in the tree of all paths; `count` of files, itself or beneath."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.children: dict[str, _Node] = {}
        self.count = self.own = 0
        self.is_directory = self.more = False

    def add(self, path: str) -> None:
        node = self
        more = path.endswith(MORE)
        is_directory = path.endswith("/")
        way = [node]
        for part in path.removesuffix(MORE).strip("/").split("/"):
            if part not in node.children:
                prefix = f"{node.path}/" if node.path or path.startswith("/") else ""
                node.children[part] = _Node(prefix + part)
            node = node.children[part]
            way.append(node)
        node.is_directory = is_directory
        for one in way:
            one.count += not more
            one.more |= more
        if not more:
            node.own += 1

    @property
    def parts(self) -> int:
        """How many `split` gives."""
        return len(self.children) + (self.own > 0 and not self.is_directory)

    def split(self) -> list[_Node]:
        """Those directly beneath, and itself if it was named as a file, too."""
        found = [child.narrow() for child in self.children.values()]
        if self.own and not self.is_directory:
            itself = _Node(self.path)
            itself.count = itself.own = self.own
            found.append(itself)
        return found

    def narrow(self) -> _Node:
        """The deepest directory that has all that this one has."""
        node = self
        while len(node.children) == 1 and not node.own:
            (node,) = node.children.values()
        return node


def fit(text: str, room: int) -> str:
    """`text` escaped and in at most `room` characters: its middle is left out."""
    text = printable(text)
    if len(text) <= room:
        return text
    half = (room - 3) // 2
    return f"{text[:half]}...{text[len(text) - half :]}"


def flow(label: str, items: Sequence[str], width: int, lines: int) -> list[str]:
    """`items` in at most `lines` lines of `width`, each indented behind `label`; what finds no
    room is counted. Everything is escaped here.

    >>> flow("  read  ", ["a", "b", "c"], 40, 1)
    ['  read  a, b, c']
    """
    indent = " " * len(label)
    room = max(24, width - len(indent))
    out: list[str] = []
    for number, item in enumerate(items):
        rest = len(items) - number
        text = fit(item, room - 1 if len(out) < lines - 1 or rest == 1 else room - 16)
        used = len(out[-1]) + 2 if out else room + 1
        last = len(out) == lines
        spare = len(f", and {rest - 1} more") if last and rest > 1 else min(1, rest - 1)
        if used + len(text) + spare <= room:
            out[-1] += f", {text}"
        elif not last:
            if out:
                out[-1] += ","
            out.append(text)
        else:
            out[-1] += f", and {rest} more"
            break
    return [(indent if n else label) + line for n, line in enumerate(out)]
