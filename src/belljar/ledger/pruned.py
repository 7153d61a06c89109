"""What a PRUNED record says: which books were deleted, and what the ledger begins with since.

The payload is a MessagePack map: `before` (ns; the date that was asked for), `next` and `records`
(number of the first entry and index of the first record that stay), `head` (the last deleted
record's hash), `runs` and `former` (number and digest of all `books/*.runs` before `next`, see
`former`), `books`: an array of maps `book` (its first entry), `entries`, `index` (of its first
record), `records`, `until` (ns; its newest record), `size` (bytes), `sha256` (of the file), `head`
and `previous` (hashes of its last record and of the one before its first). Hashes are hexadecimal.
"""

from __future__ import annotations

from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

_NUMBERS: Final = ("book", "entries", "index", "records", "until", "size")
_HASHES: Final = ("sha256", "head", "previous")
_HASH: Final = 64


class Gone(Value):
    """One deleted book. `sha256`, `head` and `previous` are hexadecimal."""

    book: int
    entries: int
    index: int
    records: int
    until: int
    size: int
    sha256: str
    head: str
    previous: str


def pack(before: int, books: list[Gone], runs: tuple[int, str] | None = None) -> bytes:
    """The payload that says that `books` (in order, at least one) are deleted; `runs` is what
    `former.summary` has of the files that stay."""
    from belljar._native import pack as packed

    last = books[-1]
    return packed(
        {
            "before": before,
            "next": last.book + last.entries,
            "records": last.index + last.records,
            "head": last.head,
            **({"runs": runs[0], "former": runs[1]} if runs is not None else {}),
            "books": [{name: getattr(one, name) for name in one.__fields__} for one in books],
        },
        len(books) * 512 + 1024,
    )


def parse(payload: bytes) -> tuple[tuple[Any, ...], list[Gone]] | None:
    """Where the ledger begins after it (hash, entry, index), and the books; None for anything
    that `pack` did not make.

    >>> parse(b"\\xc0") is None
    True
    """
    from belljar.ledger.entries import unpack

    found, _reason = unpack(payload)
    if type(found) is not dict or type(found.get("books")) is not list:
        return None
    books = [_gone(one) for one in found["books"]]
    sound = [one for one in books if one is not None]
    head, entry, index = found.get("head"), found.get("next"), found.get("records")
    if len(sound) != len(books) or not (_hash(head) and _number(entry) and _number(index)):
        return None
    return (head, entry, index), sound


def former(payload: bytes) -> tuple[int, int, str] | None:
    """Before which entry, how many `.runs` files there are, and their digest; None where the
    record does not say.

    >>> former(b"\\xc0") is None
    True
    """
    from belljar.ledger.entries import unpack

    found, _reason = unpack(payload)
    if type(found) is not dict:
        return None
    before, number, digest = found.get("next"), found.get("runs"), found.get("former")
    if not (_number(before) and _number(number) and _hash(digest)):
        return None
    return before, number, digest  # type: ignore[return-value]


def covers(payload: bytes, begins: tuple[bytes, int, int]) -> bool:
    """Whether this record says that everything before `begins` (hash of the record before, first
    entry, its index) was deleted, or was about to be when the deleting was cut short.
    """
    parsed = parse(payload)
    if parsed is None:
        return False
    previous, entry, index = begins
    after, books = parsed
    wanted = previous.hex(), entry, index
    return wanted == after or any(wanted == (b.previous, b.book, b.index) for b in books)


def _gone(one: Any) -> Gone | None:
    if type(one) is not dict or set(one) != {*_NUMBERS, *_HASHES}:
        return None
    sound = all(_number(one[n]) for n in _NUMBERS) and all(_hash(one[n]) for n in _HASHES)
    return Gone(**one) if sound else None


def _number(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _hash(value: object) -> bool:
    return type(value) is str and len(value) == _HASH
