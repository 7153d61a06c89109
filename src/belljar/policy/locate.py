"""Which line of a TOML text a key or an array item stands on: `tomllib` does not tell.

Reads only text that `tomllib` accepted, so it needs no error messages of its own. Lines are those
of the value's first character for array items, of the key for everything else.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    #: `("files", "read", 2)`: the third item of `files.read`
    Place = tuple[str | int, ...]

_BLANK: Final = " \t"
_BREAKS: Final = "\r\n"
_BARE: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def locate(text: str) -> dict[Place, int]:
    """The line, from 1, of every table, key and array item in valid TOML.

    >>> locate("[files]\\nread = [\\n  'a',\\n  'b']\\n")[("files", "read", 1)]
    4
    """
    return _Scanner(text.replace("\r\n", "\n")).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.counted = 0  # text before this offset is counted in `line`
        self.places: dict[Place, int] = {(): 1}
        self.tables: dict[Place, int] = {}  # how many [[tables]] of this name came so far

    def scan(self) -> dict[Place, int]:
        prefix: Place = ()
        while self._skip(_BLANK + _BREAKS, comments=True):
            if self.text.startswith("[[", self.at):
                self.at += 2
                prefix = self._table(repeated=True)
                self.at += 2
            elif self.text[self.at] == "[":
                self.at += 1
                prefix = self._table(repeated=False)
                self.at += 1
            else:
                self._pair(prefix)
        return self.places

    def _here(self) -> int:
        self.line += self.text.count("\n", self.counted, self.at)
        self.counted = self.at
        return self.line

    def _skip(self, characters: str, *, comments: bool = False) -> bool:
        """Move past `characters`; false at the end of the text."""
        text, size = self.text, len(self.text)
        while self.at < size:
            if comments and text[self.at] == "#":
                end = text.find("\n", self.at)
                self.at = size if end < 0 else end
            elif text[self.at] in characters:
                self.at += 1
            else:
                return True
        return False

    def _table(self, *, repeated: bool) -> Place:
        line, keys = self._here(), self._keys()
        path: Place = ()
        for index, key in enumerate(keys):
            path = (*path, key)
            self.places.setdefault(path, line)
            if path in self.tables and not (repeated and index == len(keys) - 1):
                path = (*path, self.tables[path] - 1)
        if repeated:
            count = self.tables[path] = self.tables.get(path, 0) + 1
            path = (*path, count - 1)
        self.places[path] = line
        return path

    def _keys(self) -> tuple[str, ...]:
        keys = []
        while True:
            self._skip(_BLANK)
            keys.append(self._key())
            self._skip(_BLANK)
            if self.text[self.at : self.at + 1] != ".":
                return tuple(keys)
            self.at += 1

    def _key(self) -> str:
        start = self.at
        if self.text[start] in "\"'":
            self._string()
            raw = self.text[start : self.at]
            if "\\" not in raw or raw[0] == "'":
                return raw[1:-1]
            import tomllib

            return str(tomllib.loads(f"key = {raw}")["key"])
        while self.at < len(self.text) and self.text[self.at] in _BARE:
            self.at += 1
        return self.text[start : self.at]

    def _pair(self, prefix: Place) -> None:
        line, path = self._here(), prefix
        for key in self._keys():
            path = (*path, key)
            self.places.setdefault(path, line)
        self.at += 1  # the equals sign
        self._skip(_BLANK)
        self._value(path)

    def _value(self, path: Place) -> None:
        first = self.text[self.at : self.at + 1]
        if first == "[":
            self._items(path)
        elif first == "{":
            self.at += 1
            while self._skip(_BLANK + _BREAKS + ",", comments=True) and self.text[self.at] != "}":
                self._pair(path)
            self.at += 1
        elif first and first in "\"'":
            self._string()
        else:
            while self.at < len(self.text) and self.text[self.at] not in ",]}#\n":
                self.at += 1

    def _items(self, path: Place) -> None:
        self.at += 1
        index = 0
        while self._skip(_BLANK + _BREAKS + ",", comments=True) and self.text[self.at] != "]":
            item = (*path, index)
            self.places[item] = self._here()
            self._value(item)
            index += 1
        self.at += 1

    def _string(self) -> None:
        text, quote = self.text, self.text[self.at]
        triple = quote * 3
        escapes = quote == '"'
        long = text.startswith(triple, self.at)
        end = triple if long else quote
        self.at += len(end)
        while self.at < len(text) and not text.startswith(end, self.at):
            self.at += 2 if escapes and text[self.at] == "\\" else 1
        self.at += len(end)
        if long:  # up to two quotes may stand before the closing three
            while text.startswith(quote, self.at):
                self.at += 1
