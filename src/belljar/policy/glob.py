"""Patterns of rules: `*` is any text, `?` any one character, everything else itself."""

from __future__ import annotations


def matches(pattern: str, text: str) -> bool:
    """Does the whole of `text` match? Time grows at most with the product of their lengths.

    >>> matches("*/.ssh/*", "/home/a/.ssh/id"), matches("os.?", "os.exec")
    (True, False)
    """
    at = tried = star = 0
    starred = False
    for_ever = len(text)
    while at < for_ever:
        if tried < len(pattern) and pattern[tried] == "*":
            starred, star, mark = True, tried, at
            tried += 1
        elif tried < len(pattern) and pattern[tried] in ("?", text[at]):
            tried += 1
            at += 1
        elif starred:
            mark += 1  # let the last star take one character more
            at, tried = mark, star + 1
        else:
            return False
    return all(c == "*" for c in pattern[tried:])
