"""Key files: made, loaded, replaced and erased. Private keys are 0600 or refused.

A ledger has `keys/fixed`, `keys/epoch` (and `keys/epoch.next` while an epoch ends) and
`keys/public`, one vkey a line, the fixed key first, then the genesis epoch's.

Functions take a path; with `folder`, a descriptor, the file is the one of that name in there, and
the path is only what it is called: nobody can put another directory in between.
"""

from __future__ import annotations

import os
from hashlib import sha256

from belljar.errors import LedgerError
from belljar.ledger.folders import open_at, read_at
from belljar.ledger.tree.note import (
    ED25519,
    NoteMalformed,
    SigningKey,
    VerifierKey,
    parse_private,
    parse_vkey,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

FIXED: Final = "keys/fixed"
EPOCH: Final = "keys/epoch"
PUBLIC: Final = "keys/public"
NEXT: Final = ".next"
_MAX_FILE: Final = 1 << 16
_ADD: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


def origin_of(public: bytes) -> str:
    """The origin of the ledger with this fixed public key.

    >>> origin_of(bytes(32))
    'belljar.ledger/66687aadf862bd77'
    """
    return f"belljar.ledger/{sha256(public).hexdigest()[:16]}"


def epoch_name(origin: str, epoch: int) -> str:
    """The name of an epoch's key."""
    return f"{origin}/epoch/{epoch}"


def new_fixed() -> SigningKey:
    """A new fixed key; its name is the origin that its own public key makes."""
    seed = os.urandom(32)
    public = SigningKey("new", seed).public.public
    return SigningKey(origin_of(public), seed)


def new_epoch(origin: str, epoch: int) -> SigningKey:
    """A new key for epoch `epoch` of the ledger `origin`."""
    return SigningKey.new(epoch_name(origin, epoch), ED25519)


def save(path: str, key: SigningKey, folder: int | None = None) -> None:
    """Write a private key to a new file, 0600, and wait until the disk has it.

    It is there whole or not at all. Raises `LedgerError` when there is such a file or it cannot
    be written.
    """
    name = _name(path, folder)
    temporary = f"{name}.tmp"
    try:
        _discard(temporary, folder)
        with os.fdopen(os.open(temporary, _NEW, 0o600, dir_fd=folder), "wb") as file:
            file.write(f"{key.private()}\n".encode())
            file.flush()
            os.fsync(file.fileno())
        try:
            # Unlike a rename, this never replaces a key.
            os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            os.unlink(temporary, dir_fd=folder)
        _sync(name, folder)
    except OSError as error:
        raise LedgerError(f"cannot write the key {path}: {error.strerror}") from error


def load(path: str, *, mine: bool = True, folder: int | None = None) -> SigningKey:
    """The private key in the file `path`.

    Raises `LedgerError` when there is none, when others than its owner can read or write it, when
    it holds no key, or, with `mine`, when that owner is not who asks (root is no exception; only
    who signs nothing may look at another's). The message never quotes it.
    """
    try:
        fd = open_at(folder, _name(path, folder))
    except OSError as error:
        raise LedgerError(f"cannot use the key {path}: {error.strerror}") from error
    try:
        found = os.fstat(fd)
        if found.st_mode & 0o077:
            raise LedgerError(
                f"cannot trust the key {path}: others can read it; make a new one "
                "(chmod 600 only if nobody else ever could)"
            )
        if mine and found.st_uid != os.geteuid():
            raise LedgerError(
                f"cannot trust the key {path}: it belongs to user {found.st_uid}, not to "
                f"{os.geteuid()}, who would sign with it"
            )
        data = os.read(fd, _MAX_FILE)
    finally:
        os.close(fd)
    try:
        return parse_private(data.decode("utf-8", "replace"))
    except NoteMalformed as error:
        raise LedgerError(f"cannot use the key {path}: {error}") from error


def rotate(path: str, key: SigningKey, folder: int | None = None) -> None:
    """Put `key` into the place of the private key at `path`, which is erased.

    Killed at any moment, `finish` (which does nothing otherwise) completes it: the new key is
    on disk as `path.next` before the old one is touched.
    """
    if not there(path + NEXT, folder):
        save(path + NEXT, key, folder)
    finish(path, folder)


def finish(path: str, folder: int | None = None) -> bool:
    """Complete a `rotate` that was cut short after `path.next` was written; whether there was one.

    Raises `LedgerError` when it cannot be done.
    """
    if not there(path + NEXT, folder):
        return False
    load(path + NEXT, folder=folder)  # never erase the old key for one that is none
    name = _name(path, folder)
    try:
        if there(path, folder):
            _overwrite(name, folder)
        os.rename(name + NEXT, name, src_dir_fd=folder, dst_dir_fd=folder)
        _sync(name, folder)
    except OSError as error:
        raise LedgerError(f"cannot replace the key {path}: {error.strerror}") from error
    return True


def erase(path: str, folder: int | None = None) -> None:
    """Overwrite a key file, wait for the disk, and unlink it. No file is no error.

    What the file system or the medium keeps elsewhere (copy on write, journals with data,
    snapshots, flash translation) is beyond this; `docs/ledger-proofs.md` says so.
    """
    try:
        name = _name(path, folder)
        _overwrite(name, folder)
        os.unlink(name, dir_fd=folder)
        _sync(name, folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise LedgerError(f"cannot erase the key {path}: {error.strerror}") from error


def publish(path: str, *keys: VerifierKey, folder: int | None = None) -> None:
    """Append verifier keys to the file `path` (0644), one a line, in one write."""
    lines = "".join(f"{key.vkey()}\n" for key in keys).encode()
    try:
        flags = (
            os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        )
        fd = os.open(_name(path, folder), flags, 0o644, dir_fd=folder)
        with os.fdopen(fd, "wb") as file:
            file.write(lines)
            file.flush()
            os.fsync(fd)
    except OSError as error:
        raise LedgerError(f"cannot write {path}: {error.strerror}") from error


def published(path: str, folder: int | None = None) -> list[VerifierKey]:
    """The verifier keys in a file, one a line; empty lines and such with `#` are passed over.

    Raises `LedgerError` naming the line that is none.
    """
    keys = []
    try:
        data = read_at(folder, _name(path, folder), _MAX_FILE + 1)
    except OSError as error:
        raise LedgerError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > _MAX_FILE:
        raise LedgerError(f"{path} is too long for a list of keys")
    for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            keys.append(parse_vkey(line))
        except NoteMalformed as error:
            raise LedgerError(f"{path}:{number}: {error}") from error
    return keys


def read_file(path: str, most: int) -> bytes:
    """At most `most` bytes of a file that somebody else may have put there.

    Raises `OSError`, also for what is no regular file: no link is followed, no pipe waited on.
    """
    return read_at(None, path, most)


def sync_directory(path: str) -> None:
    """Wait until the disk has the names in a directory. Raises `OSError`."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def there(path: str, folder: int | None = None) -> bool:
    """Whether there is such a file, whatever it is. Raises `OSError`."""
    try:
        os.stat(_name(path, folder), dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _name(path: str, folder: int | None) -> str:
    return path if folder is None else os.path.basename(path)


def _sync(name: str, folder: int | None) -> None:
    if folder is None:
        sync_directory(os.path.dirname(name) or ".")
    else:
        os.fsync(folder)


def _discard(name: str, folder: int | None) -> None:
    """Erase what a killed `save` left: a key, unless it already has its own name, too."""
    try:
        if os.stat(name, dir_fd=folder, follow_symlinks=False).st_nlink == 1:
            _overwrite(name, folder)
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return


def _overwrite(name: str, folder: int | None) -> None:
    """Every byte of it, in place. Raises `OSError`."""
    flags = os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    fd = os.open(name, flags, dir_fd=folder)
    try:
        size = os.fstat(fd).st_size
        done = 0
        while done < size:
            done += os.pwrite(fd, os.urandom(min(size - done, 1 << 16)), done)
        os.fsync(fd)
    finally:
        os.close(fd)
