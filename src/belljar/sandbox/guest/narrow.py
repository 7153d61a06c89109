"""`belljar.guest.narrow`: the guest gives up some of what it was granted, for good.

Made to code when first asked for, in a namespace of its own (see `offer`); runs on any CPython
from 3.8. What is asked is looked at only to say what is wrong with it (`narrow_asked`). The walls
are made by C code (`_native/narrow.c`, by the audit event `belljar.layer`), by the keeper, and by
the host: none of them believes a word of this, since they only ever take away.
"""

import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from belljar.sandbox.guest.narrow_asked import (
        _FILES,
        _absolute,
        _asked,
        _beneath,
        _cannot,
        _exists,
        _more,
    )

#: Of addresses, Unix sockets, listeners, their paths, places to append at (_native/narrow.h).
_BITS = (256, 32, 64, 16, 64)
_MOST_DESCRIPTORS = 1 << 16  # more are not looked for

_WHY = {
    "children": "processes that it started are there, or were not waited for: they keep what they "
    "have; narrow before the first one",
    "threads": "other threads run, and this kernel can take away from the calling one only; narrow "
    "before they start (numpy starts some when it is imported)",
    "layers": "it was narrowed as often as the kernel allows (16 layers, the sandbox's included)",
    "landlock": "this kernel gives no Landlock layer",
    "limit": "more than this is in use already",
    "words": "what is asked cannot be told to the recorder",
}
#: Where there is a guard, and where `extensions = all` lets every module in.
_IMPORT_ROWS = (
    ("window", "import guard", "native code can break it; what is loaded stays"),
    ("none", "", "extensions = all lets every module in"),
)


class Narrowing:
    """What a process of the guest has, and how it comes to have less.

    `facts` are of `confine/narrowable.py`; `tell(op, body)` asks the host, None where there is no
    bridge. A child that the guest forks has neither bridge nor keeper of its own: it narrows what
    the kernel holds for it alone. A branch of a session (`box.fork`) calls `branch` first, then
    `narrow` with the guest's names of what it is to keep.
    """

    def __init__(self, facts: "Any", tell: "Any" = None, guard: "Any" = None) -> None:
        self.base = dict(facts["base"])
        self.given = [tuple(one) for one in facts["given"]]
        self.network = [tuple(one) for one in facts["network"]]
        self.imports = list(facts["import"])
        self.limits = dict(facts["limits"])
        self.isolated = facts["isolated"]
        self.live = facts["live"]
        self.folders = list(facts["appends"])  # of `append`: those that the keeper opens, by bit
        self.appends = list(self.folders)  # those of them that it still has
        self.tell = tell
        self.guard = guard
        self.pid = facts.get("pid", posix.getpid())
        self.whole = facts.get("whole", True)

    def branch(self, tell: "Any") -> None:
        """This process is a guest of its own from now on, whose bridge is `tell`. The keeper is
        shared with where it came from: of addresses it gives up all or none, of places that the
        keeper appends to none."""
        self.pid = posix.getpid()
        self.tell = tell
        self.whole = False

    @property
    def alone(self) -> bool:
        """Is it not a child of the guest?"""
        return bool(posix.getpid() == self.pid)

    @property
    def keeper(self) -> bool:
        """Does the keeper forget what this process gives up?"""
        return bool(self.alone and self.whole)

    # --- what is asked ------------------------------------------------------------------

    def narrow(self, policy: "Any" = None, **keywords: "Any") -> "dict[str, tuple[str, str, str]]":
        """Keep of this process's grants only those named, and lower limits; for good.

        Keywords are those of a policy (`read=["/data"]`, `memory="64M"`), or one dict of them;
        paths are the guest's. Grants (read, write, append, overlay, devices, run, connect, bind,
        import_) that are not named are gone, limits that are not named stay. A path may be one of a
        granted directory. What every sandbox has stays: the interpreter and its library, the
        script's own directory, the private temporary directory.

        Returns what holds it now, by right: level (`full`, `partial`, `window`, `none`), mechanism,
        reason. Raises PermissionError for more than there is, TypeError and ValueError for what is
        no policy, RuntimeError for what cannot be enforced: then nothing has changed. Where it
        fails half way, the process ends.

        >>> belljar.guest.narrow(read=["/data/a"], memory="64M")  # doctest: +SKIP
        """
        asked = _asked(policy, keywords)
        given, named = self._files(asked)
        appends = self._appends(named)
        network = self._network(asked)
        bits = self._bits(network, appends)
        limits = self._limits(asked)
        imports = self._imports(asked)
        rows: "dict[str, tuple[str, str, str]]" = {}
        words = self._words(given, network, appends, rows)
        if bits is not None:
            words += ["keeps", bits]
        self._limit_words(limits, words, rows)
        if imports != self.imports:
            rows["import"] = _IMPORT_ROWS[self.guard is None]
        _remarks(rows, 3 if self.live else -1)
        what = _summary(named, network, imports, limits, self.limits)
        how = "; ".join("%s %s%s" % (k, v[0], v[1] and " (%s)" % v[1]) for k, v in rows.items())
        self._layer(words, what, how)
        lower = {key: limits[key] for key in limits if limits[key] < self.limits[key]}
        self.given, self.network, self.limits = given, network, limits
        self.appends = appends
        if imports != self.imports and self.guard is not None:
            self.guard(imports)
        self.imports = imports
        self._tell_host(named, network, imports, lower, what, rows)
        return rows

    def _files(self, asked: "dict[str, Any]") -> "tuple[list[Any], dict[str, list[str]]]":
        kept: "list[Any]" = []
        named: "dict[str, list[str]]" = {}
        for key, letters in _FILES.items():
            named[key] = []
            for text in asked.get(key, ()):
                optional = text[:1] == "-"
                path = self._program(text) if key == "run" else _absolute(text[optional:])
                granted = self._letters(key, path, letters)
                if not granted:
                    _more(key, text)
                if key == "append" and path not in {one[0] for one in given_of(self.given, key)}:
                    _cannot(key, "a directory is kept whole or not at all: %s is in one" % path)
                if not _exists(path):
                    if optional:
                        continue
                    raise FileNotFoundError(2, "nothing to keep: no such file or directory", path)
                kept.append((key, path, granted))
                named[key].append(path)
        return kept, named

    def _program(self, text: str) -> str:
        own = [path for right, path, _letters in self.given if right == "run"]
        found = [path for path in own if text in (path, path.rpartition("/")[2])]
        if not found:
            _more("run", text)
        return str(found[0])

    def _letters(self, key: str, path: str, wanted: str) -> str:
        """What there is of a right at a path, and beneath; nothing where it was not granted."""
        found = ""
        for right, top, letters in self.given:
            same = right == key or (key == "read" and right == "list")
            if same and (path == top or (key != "run" and _beneath(path, top))):
                found += letters
        if key in ("read", "write"):
            for top, letters in self.base.items():
                if (path == top or _beneath(path, top)) and wanted[0] in letters:
                    found += wanted
        return "".join(letter for letter in "rlxwi" if letter in found)

    def _appends(self, named: "dict[str, list[str]]") -> "list[str]":
        kept = [one for one in self.appends if one in named["append"]]
        if kept != self.appends and not self.keeper:
            _cannot(
                "append",
                "the keeper, which opens the files, has other processes of the guest besides "
                "(a child, or where there may be branches): keep all of " + ", ".join(self.appends),
            )
        return kept

    def _network(self, asked: "dict[str, Any]") -> "list[Any]":
        kept = []
        for key in ("connect", "bind"):
            for text in asked.get(key, ()):
                spelled = (
                    text
                    if text[:5] in ("unix:",) or text[:4] in ("tcp:", "udp:")
                    else "tcp:" + text
                )
                own = [one for one in self.network if one[0] == key and one[1] == spelled]
                if not own:
                    _more(key, text)
                kept += [one for one in own if one not in kept]
        if len(kept) == len(self.network):
            return self.network
        if kept and not self.keeper:
            _cannot(
                "connect and bind",
                "a process that is not the whole guest (a child, or where there may be branches) "
                "keeps all or none of them",
            )
        return kept

    def _bits(self, network: "list[Any]", appends: "list[str]") -> "str | None":
        """What the keeper is told to keep; None where it is told nothing."""
        same = len(network) == len(self.network) and appends == self.appends
        if same or not self.keeper:
            return None
        numbers = [0] * len(_BITS)
        for _right, _target, start, end in network:
            for place in range(len(start)):
                for bit in range(start[place], end[place]):
                    numbers[place] |= 1 << bit
        for bit, one in enumerate(self.folders):
            numbers[-1] |= (one in appends) << bit
        return "".join(
            [numbers[n].to_bytes(size // 8, "little").hex() for n, size in enumerate(_BITS)]
        )

    def _limits(self, asked: "dict[str, Any]") -> "dict[str, Any]":
        limits = dict(self.limits)
        for key, most in self.limits.items():
            value: "Any" = asked.get(key, most)
            if not value <= most:
                _more(key, str(value))
            if value == most:
                continue
            limits[key] = value
            if key in ("wall", "output", "cpu") and self.live and not (self.tell and self.alone):
                _cannot(key, "the host counts it, for the whole guest")
            if key in ("wall", "output") and not self.live:
                _cannot(key, "the host counts it, and there is no bridge to it")
            if key == "threads" and not self.isolated:
                _cannot(key, "without namespaces nothing counts them")
            if key == "processes" and value > 1 and not self.isolated:
                _cannot(key, "without namespaces nothing counts them; 1 can be had")
        return limits

    def _imports(self, asked: "dict[str, Any]") -> "list[str]":
        wanted = list(asked.get("import", ()))
        for name in wanted:
            if name not in self.imports:
                _more("import", name)
        return [name for name in self.imports if name in wanted]

    # --- what is made of it -------------------------------------------------------------

    def _words(self, given: "Any", network: "Any", appends: "Any", rows: "Any") -> "list[str]":
        words: "list[str]" = []
        for path, letters in self.base.items():
            words += ["soft", path, letters]
        for _key, path, letters in given:
            words += ["land", path, letters]
        for key in _FILES:
            if given_of(given, key) != given_of(self.given, key):
                rows[key] = ("full", "Landlock", "")
        if appends != self.appends:
            gone = given_of(self.given, "append") - given_of(given, "append")
            pipes = any(path not in self.folders for path, _letters in gone)
            rows["append"] = ("full", "Landlock, keeper" if pipes else "keeper", "")
        if "write" in rows or "overlay" in rows or "append" in rows:
            words += ["refuse", "metadata"]
        if "read" in rows or "overlay" in rows:
            words += ["refuse", "watching"]
            rows["names"] = ("none", "", "what exists, its size and its times can still be asked")
        if "run" in rows and not given_of(given, "run"):
            words += ["refuse", "exec"]
            rows["run"] = ("full", "seccomp, Landlock", "")
        if len(network) != len(self.network):
            if not network:
                words += ["refuse", "sockets"]
            by = ("seccomp, keeper" if self.keeper else "seccomp") if not network else "keeper"
            for key in ("connect", "bind"):
                if sum(one[0] == key for one in network) != sum(
                    one[0] == key for one in self.network
                ):
                    rows[key] = ("full", by, "")
        return words

    def _limit_words(self, limits: "Any", words: "list[str]", rows: "Any") -> None:
        lower = {key for key in limits if limits[key] < self.limits[key]}
        each = "each process by itself" if limits["processes"] > 1 else ""
        level = "partial" if each else "full"
        if "memory" in lower:
            words += ["limit", "data", str(limits["memory"])]
            words += ["limit", "as", str(4 * limits["memory"] + (1 << 30))]
            rows["memory"] = (level, "RLIMIT_DATA, RLIMIT_AS", each)
        if "open_files" in lower:
            words += ["limit", "nofile", str(limits["open_files"])]
            rows["open-files"] = ("full", "RLIMIT_NOFILE", "")
        if ("processes" in lower or "threads" in lower) and self.isolated:
            words += ["limit", "nproc", str(limits["threads"] + limits["processes"])]
        both = "processes and threads together" if each else ""
        if "threads" in lower:
            rows["threads"] = (level, "RLIMIT_NPROC", both)
        if "processes" in lower and each:
            rows["processes"] = (level, "RLIMIT_NPROC", both)
        elif "processes" in lower:
            words += ["refuse", "forks"]
            rows["processes"] = (level, "seccomp", "")
        if "cpu" in lower and not self.live:
            words += ["limit", "cpu", str(max(1, int(limits["cpu"] + 0.999)))]
            rows["cpu"] = (level, "RLIMIT_CPU", each)
        for key in ("cpu", "wall", "output"):
            if key in lower and self.live:
                rows[key] = ("full", "the host", "")

    def _layer(self, words: "list[str]", what: str, how: str) -> None:
        """The one entry to the C code: all of it stands afterwards, or nothing has changed."""
        data = b"".join(word.encode("utf-8", "surrogateescape") + b"\0" for word in words)
        try:
            sys.audit("belljar.layer", data, (what, how))
        except OSError as error:
            reason = error.args[1] if len(error.args) == 2 and type(error.args[1]) is str else ""
            if reason[:1] == "/":
                raise RuntimeError("%s: %s" % (reason, posix.strerror(error.errno or 0))) from None
            raise RuntimeError(_WHY.get(reason, reason) + "; nothing was narrowed") from None

    def _tell_host(
        self, named: "Any", network: "Any", imports: "Any", lower: "Any", what: str, rows: "Any"
    ) -> None:
        if self.tell is None or not self.alone:
            return
        grants = {key: list(paths) for key, paths in named.items()}
        for key in ("connect", "bind"):
            grants[key] = [one[1] for one in network if one[0] == key]
        grants["import"] = list(imports)
        try:
            self.tell("narrow", (grants, dict(lower), what, {k: tuple(v) for k, v in rows.items()}))
        except BaseException:  # the walls stand, and the host does not know: that is no half
            posix.write(
                2, b"belljar: the host was not told that the sandbox is narrower: it ends\n"
            )
            posix._exit(125)


def given_of(given: "Any", key: str) -> "set[Any]":
    return {one[1:] for one in given if one[0] == key}


#: Kind of file (inode(7)) -> the rights that an open descriptor of one is a way around.
_OPEN = {0o100000: ("read", "write", "overlay"), 0o040000: ("read", "write", "overlay"),
         0o020000: ("devices",), 0o010000: ("append",), 0o140000: ("connect", "bind")}  # fmt: skip


def _remarks(rows: "dict[str, tuple[str, str, str]]", bridge: int) -> None:
    """What was open before stays open: said of every right that it is a way around."""
    found: "dict[str, list[str]]" = {}
    for fd in range(3, min(posix.sysconf("SC_OPEN_MAX"), _MOST_DESCRIPTORS)):
        try:
            kind = posix.fstat(fd).st_mode & 0o170000
        except OSError:
            continue
        for key in _OPEN.get(kind, ()):
            if fd != bridge and key in rows:
                found.setdefault(key, []).append(str(fd))
    for key, fds in found.items():
        by = rows[key][1]
        rows[key] = ("partial", by, "descriptors that were open stay so: " + ", ".join(fds[:16]))


def _summary(named: "Any", network: "Any", imports: "Any", limits: "Any", before: "Any") -> str:
    """What is left, in one line for the record."""
    parts = ["%s=%s" % (key, ",".join(paths)) for key, paths in named.items() if paths]
    for key in ("connect", "bind"):
        left = [one[1] for one in network if one[0] == key]
        parts += ["%s=%s" % (key, ",".join(left))] * bool(left)
    parts += ["import=" + ",".join(imports)] * bool(imports)
    parts += ["%s=%s" % (key, limits[key]) for key in limits if limits[key] < before[key]]
    return " ".join(parts) or "nothing"
