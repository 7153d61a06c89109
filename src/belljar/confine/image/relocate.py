"""Bytes of a runtime's files with the host's paths taken out of them.

Nothing here runs or loads what it reads: a guest may have written it. Compiled files are changed
in the format's own terms (Python/marshal.c): a string is a type byte, its length, its bytes, and
nothing in the format counts offsets, so that one string can be put in place of another one.
"""

from __future__ import annotations

import os
import re

_HOME = b"/python"
#: Prefixes that every machine has: they tell nothing, and stand in texts that mean others.
COMMON = frozenset(("", "/", "/usr", "/usr/local"))
_PATH = b"[A-Za-z0-9_.-]"
#: Marshal's strings with a length of one byte, and of four; the high bit marks a reference.
_SHORT, _LONG = b"zZ", b"aAut"
_REFERENCE = 0x80


class Needles:
    """What is looked for in files, and what stands there instead.

    `prefixes` are directories that become `/python`; `homes` those of people, which become
    something of the same length. Common ones are left out.

    >>> Needles(["/opt/own/py"], []).text(b"x=/opt/own/py/lib")
    b'x=/python/lib'
    >>> Needles(["/opt/own/py"], []).binary(b"/opt/own/py/lib" + bytes(1))
    b'/python/////lib\\x00'
    """

    def __init__(self, prefixes: list[str], homes: list[str]) -> None:
        self._prefixes = _longest(os.fsencode(p) for p in prefixes if p not in COMMON)
        # /root stands in documents for the root of a tree
        self._homes = _longest(os.fsencode(h) for h in homes if h.count("/") > 1)
        self.all = (*self._prefixes, *self._homes)
        self.stamp = b"\0".join(self.all)

    def found(self, data: bytes) -> bool:
        """Whether any of them stands in `data`."""
        return any(data.find(needle) >= 0 for needle in self.all)

    def text(self, data: bytes) -> bytes:
        """`data` without them; its length may change."""
        for prefix in self._prefixes:
            data = data.replace(prefix, _HOME)
        return self._without_homes(data)

    def binary(self, data: bytes) -> bytes:
        """`data` without them, of the same length: a path may have several slashes in a row, so
        that a library is still found where a run path of the file says. Linkers let a string
        begin inside of one that ends alike, as the version does in `/opt/3.11.7`: of a string
        that ends so, numbers stay."""
        for prefix in self._prefixes:
            tail = prefix[len(prefix.rstrip(b"0123456789.")) :]
            data = data.replace(prefix + b"\0", _padded(prefix, tail) + b"\0")
            data = data.replace(prefix, _padded(prefix, b""))
        return self._without_homes(data)

    def _without_homes(self, data: bytes) -> bytes:
        for home in self._homes:
            data = data.replace(home, _blank(home))
        return data


def _longest(items: object) -> tuple[bytes, ...]:
    return tuple(sorted(set(items), key=lambda item: (-len(item), item)))  # type: ignore[call-overload]


def _padded(prefix: bytes, tail: bytes) -> bytes:
    room = len(prefix) - len(_HOME) - len(tail)
    if room < bool(tail):
        return _blank(prefix)[: len(prefix) - len(tail)] + tail
    return _HOME + b"/" * room + tail


def _blank(path: bytes) -> bytes:
    return b"/" + b"x" * (len(path) - 1)


def retitled(data: bytes, old: bytes, new: bytes) -> bytes:
    """`data` of a `.pyc` with the string `old` replaced by `new` wherever it stands alone.

    >>> retitled(b"c" + bytes([0xda, 2]) + b"/a" + b"rest", b"/a", b"/bcd")
    b'c\\xda\\x04/bcdrest'
    """
    at = data.find(old)
    parts: list[bytes] = []
    begin = 0
    while at >= 0:
        kind = _header(data, at, len(old))
        if kind:
            size, letter, flag = kind
            parts += [data[begin : at - size], _string(letter, flag, new)]
            begin = at + len(old)
        at = data.find(old, at + len(old))
    return b"".join((*parts, data[begin:])) if parts else data


def _header(data: bytes, at: int, length: int) -> tuple[int, int, int] | None:
    """(its size, type, reference bit) of the string that begins at `at`, or None."""
    if at >= 2 and data[at - 2] & 0x7F in _SHORT and data[at - 1] == length:
        return 2, data[at - 2] & 0x7F, data[at - 2] & _REFERENCE
    told = int.from_bytes(data[at - 4 : at], "little") if at >= 5 else -1
    if told == length and data[at - 5] & 0x7F in _LONG:
        return 5, data[at - 5] & 0x7F, data[at - 5] & _REFERENCE
    return None


def _string(letter: int, flag: int, text: bytes) -> bytes:
    if letter in _SHORT and len(text) < 256:
        return bytes((letter | flag, len(text))) + text
    if letter in _SHORT:  # z is a short a, Z a short A
        letter = b"aA"[_SHORT.index(letter)]
    return bytes((letter | flag,)) + len(text).to_bytes(4, "little") + text


def configuration(data: bytes, base: bytes) -> bytes:
    """The build's settings (`_sysconfigdata`, `Makefile`) with `base` made neutral, and where the
    build itself lay. Of a common prefix, only what is Python's own."""
    for key in (rb"abs_srcdir", rb"abs_builddir", rb"srcdir", rb"projectbase", rb"BUILD_SOURCE"):
        line = re.search(rb"(?m)^ ?'?" + key + rb"'?[:=]\s*'?(/[^'\n]*)", data)
        if line and line[1] != base:
            data = data.replace(line[1], b"/build")
    if base == b"/usr":
        own = rb"/usr(?=['\"\s:;]|/(?:lib\d*|include|share)/python3|/bin/python3)"
    else:
        own = re.escape(base) + rb"(?!" + _PATH + rb")"
    return re.sub(own, _HOME, data)


def configured(stdlib: str) -> list[str]:
    """The prefixes that a standard library says it was built for."""
    found = []
    for name in os.listdir(stdlib):
        if name.startswith("_sysconfigdata") and name.endswith(".py"):
            with open(os.path.join(stdlib, name), "rb") as file:
                data = file.read(1 << 20)
            for line in re.finditer(rb"[{ ]'(?:exec_)?prefix': '(/[^'\n]*)'", data):
                found.append(os.fsdecode(line[1]))
    return found
