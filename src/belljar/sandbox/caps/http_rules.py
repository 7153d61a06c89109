"""What a URL names, and which rules allow it: strictly, since servers read URLs differently."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes, urlsplit

from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_PORTS: Final = {"http": 80, "https": 443}
_LONGEST: Final = 8192
_LABEL: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")
_TOKEN: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")
#: What `http.client` and the connection say themselves, and what would change whom they say it to.
_OURS: Final = frozenset(
    ("host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade",
     "keep-alive", "proxy-connection", "proxy-authorization", "expect", "accept-encoding")
)  # fmt: skip


class Place(Value):
    """A URL taken apart: `path` decoded, to be compared; `target` as it is sent."""

    scheme: str
    host: str
    port: int
    path: str
    query: bool
    target: str


class Rule(Value):
    """Methods, and a place; `beneath` where its path ended with `*`."""

    methods: tuple[str, ...]
    place: Place
    beneath: bool

    def allows(self, method: str, asked: Place) -> bool:
        """Whether a request is one of this rule's."""
        mine = self.place
        if method not in self.methods or (asked.scheme, asked.host, asked.port) != (
            mine.scheme, mine.host, mine.port,
        ):  # fmt: skip
            return False
        if self.beneath:
            return asked.path.startswith(mine.path)
        return asked.path == mine.path and not asked.query


def read_rule(text: str) -> Rule:
    """A rule as written. Raises `ValueError` with the reason.

    >>> read_rule("GET,HEAD https://api.example.com/v1/*").methods
    ('GET', 'HEAD')
    """
    methods, space, url = text.partition(" ")
    names = tuple(methods.split(","))
    if not space or any(name not in _METHODS for name in names):
        raise ValueError(f'{text!r}: write "GET,POST https://host/path" ({", ".join(_METHODS)})')
    beneath = url.endswith("*")
    place = place_of(url.removesuffix("*"))
    if place is None or place.query or "*" in place.path:
        raise ValueError(f"{text!r}: not a URL with a path, or with more than a * at its end")
    if beneath and not place.path.endswith("/"):
        raise ValueError(f"{text!r}: a * stands behind a /, for all that is beneath")
    return Rule(names, place, beneath)


def place_of(url: str) -> Place | None:
    """What a URL names; None for one that could be read in two ways.

    >>> place_of("https://h/a/%2e%2e/b"), place_of("https://h@g/"), place_of("https://h/a;/../b")
    (None, None, None)
    """
    if len(url) > _LONGEST or not url.isascii() or not url.isprintable():
        return None
    if any(c in " \\#<>\"'`{}|^" for c in url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    scheme, host = parts.scheme, parts.hostname or ""
    if scheme not in _PORTS or not host or "@" in parts.netloc or not _LABEL.issuperset(host):
        return None
    path = _decoded(parts.path)
    if path is None or port == 0:
        return None
    target = parts.path + (f"?{parts.query}" if "?" in url else "")
    return Place(scheme, host, port or _PORTS[scheme], path, "?" in url, target)


def _decoded(raw: str) -> str | None:
    """A path without its escapes; None where decoding once more, or less, would name another."""
    try:
        path = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        return None
    if path[:1] != "/" or path.count("/") != raw.count("/") or not path.isprintable():
        return None
    if "%" in path or "\\" in path or "?" in path or "#" in path or "//" in path:
        return None
    if any(part.partition(";")[0] in (".", "..") for part in path.split("/")):
        return None
    return path


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The guest's headers. Raises `ValueError` for one that it may not set."""
    if type(headers) is not dict or len(headers) > 64:
        raise ValueError("headers are a dict of at most 64 texts")
    seen = set()
    for name, value in headers.items():
        if type(name) is not str or type(value) is not str or len(value) > _LONGEST:
            raise ValueError("a header is a name and a text")
        low = name.lower()
        if not low or not _TOKEN.issuperset(low) or low in _OURS or low in seen:
            raise ValueError("a header that a guest may not set, or twice")
        if not (value.isascii() and value.isprintable()):
            raise ValueError("a header's text is printable ASCII")
        seen.add(low)
    return dict(headers)
