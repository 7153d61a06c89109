"""The judgement of a witness: cosign a checkpoint only after everything that was seen before it.

C2SP tlog-cosignature (`cosignature/v1`) and the checks of C2SP tlog-witness. A witness's state is
a directory: `key`, and for each log a folder named by the SHA-256 of its origin with `vkeys` (the
keys it is trusted by), `checkpoint` (the newest cosigned note), `lock`, and `conflict-*`: validly
signed checkpoints that contradict it, kept as evidence.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from hashlib import sha256

from belljar.errors import LedgerError
from belljar.ledger import folders
from belljar.ledger.tree import checkpoint
from belljar.ledger.tree.keys import published, read_file, sync_directory
from belljar.ledger.tree.merkle import EMPTY, verify_consistency
from belljar.ledger.tree.note import MAX_NOTE, Note, NoteUnverified, open_note, parse_note
from belljar.ledger.use import opened

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Final

    from belljar.ledger.tree.checkpoint import Checkpoint
    from belljar.ledger.tree.note import SigningKey, VerifierKey

    #: the proof from a size to another, as the log gives it
    Prove = Callable[[int, int], list[bytes]]

FOLDER: Final = "witness"
UNKNOWN: Final = "unknown"
UNSIGNED: Final = "unsigned"
STALE: Final = "stale"
ROLLBACK: Final = "rollback"
FORK: Final = "fork"
INCONSISTENT: Final = "inconsistent"
IMPOSSIBLE: Final = "impossible"
REPLACED: Final = "replaced"
_MOST_CONFLICTS: Final = 16
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class Refused(LedgerError):
    """A checkpoint that is not cosigned. `why` is one of the words above; `seen` is the size of
    the newest one that was."""

    def __init__(self, why: str, message: str, seen: int = 0) -> None:
        super().__init__(message)
        self.why = why
        self.seen = seen


class Witness:
    """A witness with its state in `directory` (made, 0700) and its key, of type 0x04.

    Any number of processes and threads may share one state.

    >>> witness = Witness("/var/lib/witness", key)  # doctest: +SKIP
    >>> witness.trust([parse_vkey("example.com/log+..."))])  # doctest: +SKIP
    >>> note = witness.cosign(data, tiles.consistency)  # doctest: +SKIP
    """

    def __init__(self, directory: str, key: SigningKey) -> None:
        self.directory = directory
        self.key = key
        try:
            os.makedirs(directory, 0o700, exist_ok=True)
        except OSError as error:
            raise _cannot(directory, error) from error

    def trust(self, keys: Iterable[VerifierKey]) -> list[VerifierKey]:
        """Remember the keys of logs by their names, which are the origins; those that are new."""
        new = []
        for key in keys:
            known = self.keys(key.name)
            if key in known:
                continue
            folder = self._folder(key.name)
            try:
                os.makedirs(folder, 0o700, exist_ok=True)
                lines = "".join(f"{one.vkey()}\n" for one in (*known, key))
                _replace(os.path.join(folder, "vkeys"), lines.encode())
            except OSError as error:
                raise _cannot(folder, error) from error
            new.append(key)
        return new

    def keys(self, origin: str) -> list[VerifierKey]:
        """The keys by which the log `origin` is trusted; none when it is unknown."""
        path = os.path.join(self._folder(origin), "vkeys")
        return published(path) if os.path.exists(path) else []

    def last(self, origin: str) -> Checkpoint | None:
        """The newest checkpoint of `origin` that was cosigned.

        Raises `LedgerError` when the state is damaged: then nothing of that log is cosigned.
        """
        data = self.note(_name(origin))
        if data is None:
            return None
        try:
            return checkpoint.parse(open_note(data, self.keys(origin)).text)
        except LedgerError as error:
            path = os.path.join(self._folder(origin), checkpoint.NAME)
            raise LedgerError(
                f"cannot go on with {path}: {error}; a witness that lost its state is retired"
            ) from error

    def note(self, name: str) -> bytes | None:
        """The newest cosigned note of the log whose origin has the SHA-256 `name` (hexadecimal)."""
        try:
            return read_file(os.path.join(self.directory, name, checkpoint.NAME), MAX_NOTE + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _cannot(os.path.join(self.directory, name), error) from error

    def cosign(self, data: bytes, prove: Prove, old: int | None = None) -> Note:
        """Check the checkpoint in the note `data` against the newest one seen, remember it and
        cosign it, in this order. The note returned has the log's signatures that were verified
        and, last, the cosignature, which says the time now.

        `prove(old, new)` gives the consistency proof; it is not trusted. `old` is the size that
        the log believes was seen last (a client of the protocol), or None: whatever it was.
        Raises `Refused`, `NoteMalformed`, or `LedgerError` when the state cannot be kept.
        """
        import time

        found = checkpoint.parse(parse_note(data).text)
        keys = self.keys(found.origin)
        if not keys:
            raise Refused(UNKNOWN, f"the log {found.origin} is not known here")
        try:
            opened = open_note(data, keys)
        except NoteUnverified as error:
            raise Refused(UNSIGNED, f"{found.origin}: {error}") from error
        folder = self._folder(found.origin)
        try:
            with open(os.path.join(folder, "lock"), "wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                try:
                    self._judge(found, prove, old)
                except Refused as refused:
                    # A client may send any proof it likes: only our own finding is evidence.
                    if refused.why == FORK or (refused.why == INCONSISTENT and old is None):
                        _keep(folder, found, opened)
                    raise
                line = self.key.sign(opened.text, int(time.time()))
                cosigned = Note(opened.text, (*opened.signatures, line))
                _replace(os.path.join(folder, checkpoint.NAME), cosigned.render())
        except OSError as error:
            raise _cannot(folder, error) from error
        return cosigned

    def _judge(self, found: Checkpoint, prove: Prove, old: int | None) -> None:
        last = self.last(found.origin)
        seen, root = (last.size, last.root) if last else (0, EMPTY)
        said = f"{found.origin} at {found.size} leaves"
        if old is not None:
            if old > found.size:
                raise Refused(IMPOSSIBLE, f"{said}: cannot come after {old}", seen)
            if old != seen:
                raise Refused(STALE, f"{said}: the newest seen has {seen}, not {old}", seen)
        if found.size < seen:
            raise Refused(ROLLBACK, f"rollback: {said}, but {seen} were seen", seen)
        if found.size == seen and found.root != root:
            raise Refused(FORK, f"fork: {said} has another root than the one seen", seen)
        proof = prove(seen, found.size)
        if not verify_consistency(seen, root, found.size, found.root, proof):
            raise Refused(
                INCONSISTENT, f"inconsistent: {said} does not begin with the {seen} seen", seen
            )

    def check_place(self, path: str, origin: str) -> None:
        """Raise `Refused` when another log was seen at `path` before."""
        file = self._place(path)
        try:
            with open(file, "rb") as known:
                before = known.read(4096).split(b"\n")[0].decode("utf-8", "replace")
        except FileNotFoundError:
            return
        except OSError as error:
            raise _cannot(file, error) from error
        if before != origin:
            raise Refused(
                REPLACED,
                f"replaced: here was the log {before}, now it says to be {origin}; "
                f"remove {file} if that is meant",
            )

    def note_place(self, path: str, origin: str) -> None:
        """Remember that the log `origin` lies at `path`."""
        from urllib.parse import quote

        file = self._place(path)
        try:
            if not os.path.exists(file):
                os.makedirs(os.path.dirname(file), 0o700, exist_ok=True)
                _replace(file, f"{origin}\n{quote(folders.real(path))}\n".encode())
        except OSError as error:
            raise _cannot(file, error) from error

    def _place(self, path: str) -> str:
        return os.path.join(self.directory, "places", _name(folders.real(path)))

    def _folder(self, origin: str) -> str:
        return os.path.join(self.directory, _name(origin))


def _name(text: str) -> str:
    return sha256(os.fsencode(text)).hexdigest()


def _keep(folder: str, found: Checkpoint, note: Note) -> None:
    """A signed contradiction is proof against the log: keep the first few of them."""
    kept = [name for name in os.listdir(folder) if name.startswith("conflict-")]
    name = f"conflict-{found.size}-{found.root[:8].hex()}"
    if name not in kept and len(kept) < _MOST_CONFLICTS:
        _replace(os.path.join(folder, name), note.render())


def _replace(path: str, data: bytes) -> None:
    """The file whole and on disk, or as it was. Raises `OSError`."""
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}.tmp"
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    sync_directory(os.path.dirname(path))


def write_cosigned(ledger: str, key: VerifierKey, note: Note) -> str:
    """Put a cosigned note where the ledger's readers look: `witness/<key id>`; its path.

    Raises `LedgerError` when that cannot be written.
    """
    path = os.path.join(ledger, FOLDER, key.id.hex())
    name = key.id.hex()
    temporary = f"{name}.{os.getpid()}.{os.urandom(4).hex()}.tmp"
    folder = -1
    try:
        folder = folders.enter(opened(ledger), FOLDER, make=True)
        with os.fdopen(os.open(temporary, _NEW, 0o600, dir_fd=folder), "wb") as file:
            file.write(note.render())
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    except OSError as error:
        raise _cannot(path, error) from error
    except LedgerError as error:
        raise LedgerError(f"{error}; --stdout prints what is cosigned instead") from error
    finally:
        if folder >= 0:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
            os.close(folder)
    return path


def _cannot(path: str, error: OSError) -> LedgerError:
    return LedgerError(f"cannot use {path}: {error.strerror}")
