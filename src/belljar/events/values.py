"""What the recorder tells of values that are no plain text or number, and of paths as text."""

from __future__ import annotations

from belljar.events.paths import absolute
from belljar.model import Value


class TypeName(Value):
    """An argument that is recorded by the name of its type only. Text from the guest."""

    name: str


class BigInt(Value):
    """An integer beyond 64 bits, recorded by its bit length, negative for a negative number."""

    bits: int


class Cut(Value):
    """A string that was cut: its beginning, and its full length in characters or bytes.

    `digest` is the SHA-256 of the whole (text as UTF-8) where it is source text, else empty.
    """

    text: str
    length: int
    digest: bytes = b""


class Code(Value):
    """A code object: where its text comes from. Text from the guest."""

    file: str
    name: str
    line: int


class Socket(Value):
    """A socket: the name of its type, and its `family` and `type` as the kernel numbers them."""

    name: str
    family: int
    type: int


def text_of(value: object) -> str | None:
    """A recorded string or path as text: bytes by `surrogateescape`, anything else is None."""
    if type(value) is str:
        return value
    if type(value) is bytes:
        return value.decode("utf-8", "surrogateescape")
    return None


def path_of(value: object, cwd: str | None) -> str | None:
    """A recorded path made absolute by its letters; None where `cwd` would have to be known.

    >>> path_of("../x", "/w/sub"), path_of("x", None)
    ('/w/x', None)
    """
    path = text_of(value)
    if not path:
        return None
    if path.startswith("/"):
        return absolute(path, "/")
    return absolute(path, cwd) if cwd else None
