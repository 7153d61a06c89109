"""Installed distributions of one directory (or zip file), and which of them owns a file.

All of it is read from files that anybody may have written: sizes and counts are bounded, only
regular files are opened, names and versions are parsed strictly, nothing is imported.
"""

from __future__ import annotations

import os
import stat

from belljar.watch.budget import Budget

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    Reader = Callable[[str, int], bytes]

_MOST_NAMES: Final = 20_000
_MOST_DISTRIBUTIONS: Final = 2_000
_LARGEST_LIST: Final = 4 << 20  # of a RECORD; that of a huge package has some 2 MB
_LARGEST_HEAD: Final = 8 << 10
_DEEPEST: Final = 64  # directories of a namespace
_MOST_LOOKS: Final = 100
# Compiled when they are first used: most runs import none of this, and `re` takes 4 ms.
_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?"
_VERSION: Final = r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,63}"
_FIELD: Final = rb"(?m)^(Name|Version): *([^\r\n]{1,100}?) *\r?$"
_FIRST: Final = rb'\n"?([^/,"\r\n]{1,255})'


def _is(pattern: str, text: str) -> bool:
    import re

    return re.fullmatch(pattern, text) is not None


def normal(name: str) -> str:
    """A distribution's name as the packaging standards compare names.

    >>> normal("Ruamel.YAML")
    'ruamel-yaml'
    """
    words = name.replace("_", "-").replace(".", "-").lower()
    while "--" in words:
        words = words.replace("--", "-")
    return words


def label(stem: str) -> str:
    """`name version` of the stem of a `.dist-info`, `.egg-info`, `.egg` or `.whl`; "" for none.

    >>> label("typing_extensions-4.16.0")
    'typing_extensions 4.16.0'
    """
    name, _, rest = stem.partition("-")
    version = rest.partition("-")[0]
    if not _is(_NAME, name) or (version and not _is(_VERSION, version)):
        return ""
    return f"{name} {version}".strip()


def read_file(path: str, limit: int) -> bytes:
    """At most `limit` bytes of a regular file, b"" of anything else. Never blocks or raises."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError):
        return b""
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return b""
        found = bytearray()
        while len(found) < limit and (more := os.read(fd, limit - len(found))):
            found += more
        return bytes(found)
    except OSError:
        return b""
    finally:
        os.close(fd)


def names_in(directory: str, budget: Budget) -> list[str]:
    """What a directory has, in order, as far as the bounds let us look."""
    found: list[str] = []
    most = min(_MOST_NAMES, budget.left("name"))
    try:
        with os.scandir(directory) as entries:
            for _, entry in zip(range(most), entries, strict=False):
                found.append(entry.name)
    except (OSError, ValueError):
        pass
    budget.take("name", len(found))
    return sorted(found)


class Distribution:
    """One installed distribution: `label` for a person, `key` to compare by."""

    def __init__(self, info: str, stem: str, read: Reader) -> None:
        self.info = info
        self.label = label(stem)
        self.key = normal(self.label.partition(" ")[0])
        self._read = read
        self._told = False

    def tell(self) -> str:
        """`name version`, the name as its makers write it, if their file agrees."""
        if not self._told:
            import re

            self._told = True
            inside = ("METADATA", "PKG-INFO")
            places = [f"{self.info}/{name}" for name in inside] + [self.info]
            head = next(filter(None, (self._read(p, _LARGEST_HEAD) for p in places)), b"")
            head = head.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
            fields = {k: v.decode("ascii", "replace") for k, v in re.findall(_FIELD, head)}
            name, _, version = self.label.partition(" ")
            better = fields.get(b"Name", "")
            if _is(_NAME, better) and normal(better) == self.key:
                name = better
            version = version or fields.get(b"Version", "")
            self.label = f"{name} {version}" if _is(_VERSION, version) else name
        return self.label

    def listed(self) -> bytes:
        """Its files, one a line, each line begun by a newline: RECORD, or what older tools left."""
        record = self._read(f"{self.info}/RECORD", _LARGEST_LIST)
        if record:
            return b"\n" + record
        old = self._read(f"{self.info}/installed-files.txt", _LARGEST_LIST)
        return (b"\n" + old).replace(b"\n../", b"\n") if old else b""

    def tops(self) -> set[str]:
        """The top-level names that it says are its own, without suffix."""
        text = self._read(f"{self.info}/top_level.txt", _LARGEST_HEAD)
        return {
            line.strip() for line in text.decode("utf-8", "replace").split("\n") if line.strip()
        }

    def editable(self) -> str:
        """The directory that it was installed from in place, "" if it was not."""
        text = self._read(f"{self.info}/direct_url.json", _LARGEST_HEAD)
        if not text:
            return ""
        import json

        try:
            found: Any = json.loads(text)
            url = found["url"]
            if found["dir_info"]["editable"] is not True or type(url) is not str:
                return ""
        except (ValueError, KeyError, TypeError, RecursionError):
            return ""
        from urllib.parse import unquote

        path = unquote(url.removeprefix("file://"))
        return path.rstrip("/") if url.startswith("file:///") and "\0" not in path else ""


class Site:
    """The distributions of the directory or zip file `path`, looked for when first asked."""

    def __init__(self, path: str, budget: Budget | None = None) -> None:
        self.path = path
        self._budget = budget or Budget()
        self._stamp = -1
        self._looks = 0
        self._zip: Any = None
        self._all: list[Distribution] = []
        self._by_key: dict[str, Distribution] = {}
        self._by_first: dict[str, list[Distribution]] | None = None
        self._lists: dict[str, bytes] = {}
        self._look()

    @property
    def distributions(self) -> list[Distribution]:
        """All that were found."""
        return self._all

    def owner(self, rest: str) -> str:
        """`name version` of what installed the file `rest` (relative to `path`), "" if unknown."""
        first = rest.partition("/")[0]
        if first.endswith(".egg"):
            return label(first.removesuffix(".egg"))
        found = self._owner(rest, first)
        if found is None and self._changed():
            found = self._owner(rest, first)
        return found.tell() if found else ""

    def owner_of_listed(self, path: str) -> str:
        """The same for a file that must be listed, such as `../../../bin/pip`."""
        for one in self._firsts().get(path.partition("/")[0], []):
            if self._lists_file(one, path):
                return one.tell()
        return ""

    def _owner(self, rest: str, first: str) -> Distribution | None:
        same = self._by_key.get(normal(first.partition(".")[0]))
        if same is not None and self._lists_file(same, rest):
            return same
        owners = self._firsts().get(first) or self._firsts().get(first.partition(".")[0], [])
        if len(owners) < 2:
            return owners[0] if owners else same
        directory = rest
        for _ in range(_DEEPEST):  # several share a namespace: whoever has the file, or the nearest
            for one in owners:
                if self._lists_file(one, directory, whole=directory is rest):
                    return one
            directory = directory.rpartition("/")[0]
            if not directory:
                break
        return same

    def _lists_file(self, one: Distribution, path: str, *, whole: bool = True) -> bool:
        if self._budget.late():
            return False
        name = b"\n" + path.encode("utf-8", "surrogateescape")
        files = self._list(one)
        if not whole:
            return name + b"/" in files
        if name + b"," in files or name + b"\n" in files:
            return True
        quoted = name[1:].replace(b'"', b'""')
        return b'\n"' + quoted + b'",' in files

    def _list(self, one: Distribution) -> bytes:
        kept = self._lists.get(one.info)
        if kept is None:
            kept = self._lists[one.info] = one.listed()
        return kept

    def _firsts(self) -> dict[str, list[Distribution]]:
        """First components of files, and top-level names, to those who have them."""
        if self._by_first is None:
            self._by_first = {}
            for one in self._all:
                found = self._firsts_of(self._list(one))
                for first in found or one.tops():
                    self._by_first.setdefault(first, []).append(one)
        return self._by_first

    def _firsts_of(self, files: bytes) -> set[str]:
        import re

        found, many = set(), 0
        left = self._budget.left("name")
        for match in re.finditer(_FIRST, files):
            if many >= left:
                break
            many += 1
            found.add(match[1])
        self._budget.take("name", many)
        return {first.decode("utf-8", "replace") for first in found}

    def _changed(self) -> bool:
        """Look again where something was installed since; True if so."""
        stamp = self._now()
        if stamp == self._stamp or self._looks >= _MOST_LOOKS:
            return False
        self._look()
        return True

    def _now(self) -> int:
        try:
            return os.stat(self.path).st_mtime_ns
        except (OSError, ValueError):
            return -1

    def _look(self) -> None:
        self._looks += 1
        self._stamp = self._now()
        self._by_key, self._lists, self._by_first = {}, {}, None
        self._all = []
        for name in self._names():
            stem, dot, kind = name.rpartition(".")
            if not dot or kind not in ("dist-info", "egg-info"):
                continue
            one = Distribution(name, stem, self._read)
            if len(self._all) >= _MOST_DISTRIBUTIONS:
                break
            if one.label and self._budget.take("distribution"):
                self._all.append(one)
                self._by_key[one.key] = one

    def _names(self) -> list[str]:
        if not os.path.isdir(self.path):
            from belljar.watch.zips import Zip

            self._zip = None
            if os.path.isfile(self.path) and self._budget.take("archive"):
                self._zip = Zip.of(self.path)
            return self._zip.folders() if self._zip else []
        return names_in(self.path, self._budget)

    def _read(self, name: str, limit: int) -> bytes:
        limit = min(limit, self._budget.left("byte"))
        if limit <= 0:
            return b""
        if self._zip is not None:
            data: bytes = self._zip.read(name, limit)
        else:
            data = read_file(f"{self.path}/{name}", limit)
        self._budget.take("byte", len(data))
        return data
