"""Signed notes, verifier keys and private keys, as C2SP signed-note and tlog-cosignature say.

Two signature types are spoken: 0x01, Ed25519 over the text, and 0x04, a timestamped cosignature of
a checkpoint. Needs `cryptography`, which is imported only when something is signed or verified.
"""

from __future__ import annotations

import binascii
from hashlib import sha256

from belljar.errors import LedgerError
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Final

ED25519: Final = 0x01
COSIGNATURE: Final = 0x04
_DATA: Final = {ED25519: 64, COSIGNATURE: 72}
#: A note with 16 post-quantum signatures of others fits; nothing longer is looked at.
MAX_NOTE: Final = 1 << 18
MAX_SIGNATURES: Final = 100
_DASH: Final = "\u2014 "
_PRIVATE: Final = "PRIVATE+KEY+"


class NoteMalformed(LedgerError):
    """These bytes are not a signed note, a checkpoint or a key."""


class NoteUnverified(LedgerError):
    """The note carries no signature of the keys asked for, or one that does not verify."""


class Signature(Value):
    """One signature line: who says to have signed, the key's id (4 bytes), and the rest."""

    name: str
    key: bytes
    data: bytes

    def line(self) -> str:
        """As it stands in a note, with its newline."""
        return f"{_DASH}{self.name} {_base64(self.key + self.data)}\n"


class Note(Value):
    """A text (with its last newline) and its signatures, none of them verified."""

    text: str
    signatures: tuple[Signature, ...]

    def render(self) -> bytes:
        """The note's bytes."""
        return f"{self.text}\n{''.join(s.line() for s in self.signatures)}".encode()


class VerifierKey(Value):
    """A public key with its name: what a *vkey* says."""

    name: str
    type: int
    public: bytes

    @property
    def id(self) -> bytes:
        """SHA-256(name || newline || type || public key), the first 4 bytes."""
        head = f"{self.name}\n".encode() + bytes((self.type,))
        return sha256(head + self.public).digest()[:4]

    def vkey(self) -> str:
        """`name+hex id+base64(type || public key)`."""
        return f"{self.name}+{self.id.hex()}+{_base64(bytes((self.type,)) + self.public)}"

    def verifies(self, text: str, data: bytes) -> bool:
        """Whether `data` (a signature line without its key id) is this key's over `text`."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        if len(data) != _DATA[self.type]:
            return False
        message = text.encode()
        if self.type == COSIGNATURE:
            time = int.from_bytes(data[:8], "big")
            if time >= 1 << 63:
                return False
            message, data = _cosigned(text, time), data[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(data, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class SigningKey:
    """A private key with its name. Never shown by `repr`; `private()` is the text of its file.

    >>> key = SigningKey.new("example.com/log")
    >>> open_note(sign("hello\\n", [key]), [key.public]).text
    'hello\\n'
    """

    __slots__ = ("_seed", "public")

    def __init__(self, name: str, seed: bytes, type: int = ED25519) -> None:  # noqa: A002 - its name in the format
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        _check_name(name)
        if type not in _DATA:
            raise NoteMalformed(f"keys of type {type} are not known here")
        if len(seed) != 32:
            raise NoteMalformed(f"a private key has 32 bytes, not {len(seed)}")
        public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        self._seed = seed
        self.public = VerifierKey(name, type, public)

    @classmethod
    def new(cls, name: str, type: int = ED25519) -> SigningKey:  # noqa: A002 - its name in the format
        """A new random key."""
        import os

        return cls(name, os.urandom(32), type)

    @property
    def name(self) -> str:
        """The name it signs with."""
        return self.public.name

    def private(self) -> str:
        """`PRIVATE+KEY+name+hex id+base64(type || seed)`, as golang.org/x/mod/sumdb/note has it."""
        seed = _base64(bytes((self.public.type,)) + self._seed)
        return f"{_PRIVATE}{self.name}+{self.public.id.hex()}+{seed}"

    def sign(self, text: str, time: int | None = None) -> Signature:
        """Sign `text`; a cosignature says `time` (seconds since 1970) and needs it."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        message, head = text.encode(), b""
        if self.public.type == COSIGNATURE:
            if time is None or not 0 < time < 1 << 63:
                raise ValueError("a cosignature needs its time")
            message, head = _cosigned(text, time), time.to_bytes(8, "big")
        made = Ed25519PrivateKey.from_private_bytes(self._seed).sign(message)
        return Signature(self.name, self.public.id, head + made)


def sign(text: str, keys: Sequence[SigningKey], time: int | None = None) -> bytes:
    """A note: `text`, which ends with a newline, and one signature line of each of `keys`.

    Raises `ValueError` for a text that no note can hold.
    """
    if not text.endswith("\n") or _control(text):
        raise ValueError(
            "the text of a note ends with a newline and has no other control character"
        )
    return Note(text, tuple(key.sign(text, time) for key in keys)).render()


def cosign(note: bytes, key: SigningKey, time: int | None = None) -> bytes:
    """`note` with the signature of `key` as one more line."""
    return note + key.sign(parse_note(note).text, time).line().encode()


def parse_note(data: bytes) -> Note:
    """What stands in a note; its signatures are not verified.

    Raises `NoteMalformed` unless it is exactly what the specification allows.
    """
    if len(data) > MAX_NOTE:
        raise NoteMalformed(f"a signed note has at most {MAX_NOTE} bytes, this has {len(data)}")
    try:
        whole = data.decode()
    except UnicodeDecodeError as error:
        raise NoteMalformed(f"not a signed note: no UTF-8 at byte {error.start}") from error
    if _control(whole):
        raise NoteMalformed("not a signed note: it holds control characters")
    text, blank, rest = whole.rpartition("\n\n")
    if not blank or not rest.endswith("\n"):
        raise NoteMalformed("not a signed note: no signature lines after an empty line")
    lines = rest[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteMalformed(f"a signed note has at most {MAX_SIGNATURES} signatures")
    return Note(text + "\n", tuple(map(parse_signature, lines)))


def parse_signature(line: str) -> Signature:
    """One signature line, without its newline. Raises `NoteMalformed`."""
    name, _, data = line.removeprefix(_DASH).partition(" ")
    raw = _unbase64(data)
    if not line.startswith(_DASH) or raw is None or len(raw) < 5:
        raise NoteMalformed("not a signed note: a signature line is not as it must be")
    _check_name(name)
    return Signature(name, raw[:4], raw[4:])


def open_note(data: bytes, keys: Iterable[VerifierKey], *, every: bool = False) -> Note:
    """The note, with only those signatures that are of `keys` and verify: one at least.

    With `every`, each of `keys` must have signed. Signatures of other keys are ignored.
    Raises `NoteMalformed`, and `NoteUnverified` when none (or, with `every`, not each) of them
    signed, or when a line that says to be of one of them does not verify.
    """
    note = parse_note(data)
    known = {(key.name, key.id): key for key in keys}
    found: dict[tuple[str, bytes], Signature] = {}
    for signature in note.signatures:
        who = (signature.name, signature.key)
        if who in known and who not in found:
            if not known[who].verifies(note.text, signature.data):
                raise NoteUnverified(f"the signature of {signature.name} does not verify")
            found[who] = signature
    missing = [name for name, key in known if (name, key) not in found]
    if not found or (every and missing):
        raise NoteUnverified(f"not signed by {missing[0] if missing else 'a known key'}")
    return Note(note.text, tuple(found.values()))


def parse_vkey(text: str) -> VerifierKey:
    """The key that a vkey (`name+hex id+base64`) says. Raises `NoteMalformed`."""
    name, public = _parse_key(text.strip("\n"), "verifier key")
    key = VerifierKey(name[0], public[0], public[1:])
    if key.id.hex() != name[1]:
        raise NoteMalformed("not a verifier key: its id does not belong to it")
    return key


def parse_private(text: str) -> SigningKey:
    """The key that a private key's text says. Raises `NoteMalformed`, which does not quote it."""
    line = text.strip("\n")
    if not line.startswith(_PRIVATE):
        raise NoteMalformed(f"not a private key: it does not begin with {_PRIVATE}")
    name, seed = _parse_key(line.removeprefix(_PRIVATE), "private key")
    key = SigningKey(name[0], seed[1:], seed[0])
    if key.public.id.hex() != name[1]:
        raise NoteMalformed("not a private key: its id does not belong to it")
    return key


def cosigned_at(signature: Signature) -> int:
    """The time that a cosignature says, in seconds since 1970."""
    return int.from_bytes(signature.data[:8], "big")


def _parse_key(text: str, what: str) -> tuple[tuple[str, str], bytes]:
    parts = text.split("+", 2)
    raw = _unbase64(parts[2]) if len(parts) == 3 and len(text) < 4096 else None
    if raw is None or len(raw) != 33 or raw[0] not in _DATA:
        raise NoteMalformed(f"not a {what}: expected name+id+base64 of an Ed25519 key")
    _check_name(parts[0])
    return (parts[0], parts[1]), raw


def _check_name(name: str) -> None:
    if not name or "+" in name or _control(name) or any(c.isspace() for c in name):
        raise NoteMalformed("the name of a key is not empty and has no space and no plus")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise NoteMalformed("the name of a key is UTF-8") from error


def _cosigned(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _control(text: str) -> bool:
    return any(c < " " and c != "\n" for c in text)


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


def _unbase64(text: str) -> bytes | None:
    """Strictly: the one way to write these bytes, or None."""
    try:
        data = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (ValueError, binascii.Error):
        return None
    return data if _base64(data) == text else None
