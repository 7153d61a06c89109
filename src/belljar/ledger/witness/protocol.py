"""A witness at work: on ledgers of this machine, as a server, and the client that asks one.

C2SP tlog-witness: `POST <prefix>/add-checkpoint` and `GET <prefix>/<origin hash>/checkpoint`.
"""

from __future__ import annotations

import binascii
import os

from belljar.errors import LedgerError
from belljar.ledger import folders, shelf
from belljar.ledger.tree import checkpoint
from belljar.ledger.tree.custody import published
from belljar.ledger.tree.keys import PUBLIC
from belljar.ledger.tree.merkle import MAX_PROOF, SIZE
from belljar.ledger.tree.note import (
    MAX_NOTE,
    Note,
    NoteMalformed,
    NoteUnverified,
    open_note,
    parse_note,
    parse_signature,
)
from belljar.ledger.tree.tilefiles import TileReader
from belljar.ledger.witness import cosign
from belljar.ledger.witness.cosign import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.ledger.tree.note import VerifierKey
    from belljar.ledger.witness.cosign import Witness

#: A request: a note, at most 63 proof lines of 45 bytes, and the line of the old size.
MAX_REQUEST: Final = MAX_NOTE + MAX_PROOF * 45 + 32
MAX_ANSWER: Final = 1 << 16
SECONDS: Final = 10.0
_MOST_TEXT: Final = 400


def newest(directory: str) -> bytes:
    """The newest checkpoint of the ledger in `directory`. Raises `LedgerError`."""
    data = folders.read(directory, checkpoint.NAME, MAX_NOTE + 1)
    if data is None:
        raise LedgerError(f"no checkpoint in {directory}: make one with `belljar log checkpoint`")
    return data


def fixed_keys(directory: str) -> list[VerifierKey]:
    """The fixed key of the ledger in `directory`: the first that it publishes."""
    keys = published(directory)
    if not keys:
        raise LedgerError(f"{os.path.join(directory, PUBLIC)} holds no key")
    return list(keys[:1])


def watch(witness: Witness, directory: str) -> tuple[Note, list[VerifierKey]]:
    """Cosign the newest checkpoint of a ledger that can be read here; also, what is trusted now.

    On first sight its fixed key is taken from its own `keys/public`, and the tiles must make the
    root. Raises `Refused` for a fork, a rollback, an inconsistent tree, a ledger that took the
    place of another one, and for one that is not signed as it must be.
    """
    directory = shelf.held(directory)
    data = newest(directory)
    found = checkpoint.parse(parse_note(data).text)
    witness.check_place(directory, found.origin)
    new: list[VerifierKey] = []
    if not witness.keys(found.origin):
        keys = [key for key in fixed_keys(directory) if key.name == found.origin]
        if not keys:
            raise Refused(cosign.UNKNOWN, f"keys/public has no key of {found.origin}")
        open_note(data, keys)
        new = witness.trust(keys)
    tiles = TileReader(directory, found.size)

    def prove(old: int, new: int) -> list[bytes]:
        if old == 0 and tiles.root() != found.root:
            raise Refused(cosign.INCONSISTENT, "inconsistent: the tiles make another root")
        return tiles.consistency(old, new)

    cosigned = witness.cosign(data, prove)
    witness.note_place(directory, found.origin)
    return cosigned, new


def answer(witness: Witness, body: bytes) -> tuple[int, str, bytes]:
    """The answer to an `add-checkpoint` request: status, content type, body.

    Raises `LedgerError` when the witness cannot use its state, a 500.
    """
    plain = "text/plain; charset=utf-8"
    try:
        old, proof, note = parse_request(body)
        cosigned = witness.cosign(note, lambda _old, _new: proof, old)
    except Refused as refused:
        if refused.why == cosign.STALE:
            return 409, "text/x.tlog.size", f"{refused.seen}\n".encode()
        status = {
            cosign.UNKNOWN: 404,
            cosign.UNSIGNED: 403,
            cosign.IMPOSSIBLE: 400,
        }.get(refused.why, 422)
        return status, plain, f"{str(refused)[:_MOST_TEXT]}\n".encode()
    except NoteMalformed as error:
        return 400, plain, f"{str(error)[:_MOST_TEXT]}\n".encode()
    return 200, plain, cosigned.signatures[-1].line().encode()


def parse_request(body: bytes) -> tuple[int, list[bytes], bytes]:
    """Old size, proof and note of an `add-checkpoint` request. Raises `NoteMalformed`."""
    head, blank, note = body.partition(b"\n\n")
    lines = head.split(b"\n")
    text = lines[0].decode("ascii", "replace")
    old = checkpoint.whole(text.removeprefix("old "))
    if not blank or not text.startswith("old ") or old is None:
        raise NoteMalformed("not a request: it begins with `old` and a size")
    if len(lines) - 1 > MAX_PROOF:
        raise NoteMalformed(f"a proof has at most {MAX_PROOF} lines")
    proof = []
    for line in lines[1:]:
        try:
            found = binascii.a2b_base64(line, strict_mode=True)
        except (ValueError, binascii.Error) as error:
            raise NoteMalformed("a line of the proof is not base64") from error
        if len(found) != SIZE or binascii.b2a_base64(found, newline=False) != line:
            raise NoteMalformed("a line of the proof is not a hash of 32 bytes")
        proof.append(found)
    return old, proof, note


def request(old: int, proof: list[bytes], note: bytes) -> bytes:
    """The bytes of an `add-checkpoint` request."""
    lines = b"".join(binascii.b2a_base64(one) for one in proof)
    return b"old %d\n" % old + lines + b"\n" + note


def submit(directory: str, url: str, key: VerifierKey) -> Note:
    """Send the ledger's newest checkpoint to the witness at `url` (its submission prefix).

    Returns the note with the cosignature of `key`, which verifies. Raises `Refused` when the
    witness refuses or has seen more than the ledger has, and `LedgerError` when it cannot be
    asked or answers something else.
    """
    directory = shelf.held(directory)
    data = newest(directory)
    found = checkpoint.parse(parse_note(data).text)
    tiles = TileReader(directory, found.size)
    old = 0
    for _attempt in range(3):
        status, body = _post(url, request(old, tiles.consistency(old, found.size), data))
        if status == 200:
            return _cosigned(data, body, key, url)
        text = body[:400].decode("utf-8", "replace").strip()
        if status != 409:
            raise Refused(cosign.INCONSISTENT, f"{url} refused ({status}): {text}")
        seen = checkpoint.whole(text)
        if seen is None:
            raise LedgerError(f"{url} answered 409 without a size")
        if seen > found.size:
            raise Refused(
                cosign.ROLLBACK,
                f"rollback: {url} has seen {seen} leaves of {found.origin}, here are {found.size}",
                seen,
            )
        old = seen
    raise LedgerError(f"{url} changes its mind: someone else submits this log, too")


def _cosigned(data: bytes, body: bytes, key: VerifierKey, url: str) -> Note:
    try:
        lines = body.decode().removesuffix("\n").split("\n")
        extra = [parse_signature(line) for line in lines[:MAX_PROOF]]
    except (UnicodeDecodeError, NoteMalformed) as error:
        raise LedgerError(f"{url} answered something else than signature lines") from error
    mine = [one for one in extra if (one.name, one.key) == (key.name, key.id)]
    note = parse_note(data)
    whole = Note(note.text, (*note.signatures, *mine[:1]))
    try:
        open_note(whole.render(), [key])
    except NoteUnverified as error:
        raise LedgerError(f"{url} did not cosign with the key {key.name}: {error}") from error
    return whole


def _post(url: str, body: bytes) -> tuple[int, bytes]:
    from urllib.error import HTTPError, URLError
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    class Stay(HTTPRedirectHandler):
        """A redirect is an answer like any other: nothing is sent elsewhere."""

        def redirect_request(self, *_arguments: object) -> None:
            return None

    if not url.startswith(("http://", "https://")):
        raise LedgerError(f"cannot ask {url}: expected http:// or https://")
    where = f"{url.rstrip('/')}/add-checkpoint"
    headers = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "belljar"}
    try:
        asked = Request(where, body, headers, method="POST")  # noqa: S310 - checked above
        with build_opener(Stay()).open(asked, timeout=SECONDS) as found:
            return found.status, found.read(MAX_ANSWER)
    except HTTPError as error:
        with error:
            return error.code, error.read(MAX_ANSWER)
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise LedgerError(f"cannot ask {where}: {reason}") from error
