"""`overlay`: directories that the guest may change, and whose changes are kept apart.

Each gets a *store* beneath `$XDG_STATE_HOME/belljar/overlays`: `data/upper` takes what the guest
writes, `about.json` says of which directory. The store waits for `belljar apply`
(`changes.py`, `merge.py`) and goes at once where nothing was changed. It is locked while its guest
runs.
"""

from __future__ import annotations

import fcntl
import os
import time

from belljar.confine.sensitive import beneath
from belljar.confine.words import unused_uid
from belljar.errors import PolicyError, Unenforceable
from belljar.ledger.place import default_directory
from belljar.model import Grant, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from belljar.confine.view import View
    from belljar.model import Policy

_KEY = "files.overlay"


class Overlay(Value):
    """`directory` of the host (its own real path), and the `store` that takes its changes."""

    directory: str
    store: str
    device: int
    inode: int


class Overlays:
    """The overlays of one run. Leaving it unlocks the stores, and removes those without a change.

    Raises `PolicyError` for a directory that cannot be had so, `Unenforceable` without mounts.
    """

    def __init__(self, policy: Policy, tier: str, run_id: bytes) -> None:
        self.made: list[Overlay] = []
        self.waiting: list[tuple[str, str]] = []  # (directory, name of its store) with changes
        self._locks: list[int] = []
        if not policy.overlay:
            return
        if tier == "landlock":
            raise Unenforceable(
                "overlay", "keeping changes apart needs a mount namespace, which this machine "
                "does not give",
                "allow user namespaces, or copy the directory and grant the copy with --write",
            )  # fmt: skip
        directories = _checked(policy)
        for number, (path, stat) in enumerate(directories, 1):
            name = run_id.hex()[:8] + (f"-{number}" if number > 1 else "")
            self._make(path, stat, os.path.join(root(), name), tier)

    def __enter__(self) -> Overlays:
        return self

    def __exit__(self, *_exception: object) -> None:
        for overlay, lock in zip(self.made, self._locks, strict=True):
            if _changed(overlay):
                self.waiting.append((overlay.directory, os.path.basename(overlay.store)))
            else:
                remove(overlay.store)
            os.close(lock)

    def _make(self, path: str, stat: os.stat_result, store: str, tier: str) -> None:
        os.makedirs(os.path.dirname(store), mode=0o700, exist_ok=True)
        for folder, mode in (
            (store, 0o700),
            (f"{store}/data", 0o755),
            (f"{store}/data/upper", stat.st_mode & 0o777),
            (f"{store}/data/work", 0o700),
        ):
            os.mkdir(folder)
            os.chmod(folder, mode)
            if tier == "root" and folder != store:
                os.chown(folder, unused_uid(), unused_uid())
        about = {
            "schema": 1,
            "directory": path,
            "device": stat.st_dev,
            "inode": stat.st_ino,
            "started": time.time_ns(),
        }
        import json  # 8 ms, which every other run would pay

        with open(f"{store}/about.json", "x", encoding="ascii") as file:
            json.dump(about, file)
        lock = os.open(store, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX)
        self._locks.append(lock)
        self.made.append(Overlay(path, store, stat.st_dev, stat.st_ino))


def _changed(overlay: Overlay) -> bool:
    upper = os.path.join(overlay.store, "data", "upper")
    try:
        mode = os.stat(overlay.directory).st_mode
        with os.scandir(upper) as entries:  # a guest may have made millions
            holds = next(entries, None) is not None
        return holds or (os.stat(upper).st_mode ^ mode) & 0o777 != 0
    except OSError:  # the guest closed it, or it is gone: somebody has to look
        return True


def root() -> str:
    """Where the stores lie."""
    return os.path.join(os.path.dirname(default_directory()), "overlays")


def remove(store: str) -> None:
    """Remove a store, whatever modes the guest gave what lies in it."""
    from belljar.confine.overlay.removal import remove_beneath

    top = os.open(os.path.dirname(store), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        remove_beneath(top, os.path.basename(store), ours=True)
    finally:
        os.close(top)


def _checked(policy: Policy) -> list[tuple[str, os.stat_result]]:
    place = policy.origin(_KEY)
    found: list[tuple[str, os.stat_result]] = []
    for path in sorted(policy.overlay):
        try:
            stat = os.stat(path)
        except OSError as error:
            raise PolicyError(place, f"overlay = {path}: {error.strerror}") from error
        if stat.st_mode & 0o170000 != 0o040000:
            raise PolicyError(place, f"overlay = {path}: is not a directory")
        if os.path.realpath(path) != path:
            raise PolicyError(
                place, f"overlay = {path}: leads over a link; name {os.path.realpath(path)}"
            )
        for other, _ in found:
            if beneath(path, other):
                raise PolicyError(place, f"overlay = {path}: lies in the overlay of {other}")
        kept = os.path.realpath(root())
        if beneath(kept, path) or beneath(path, kept):
            raise PolicyError(
                place,
                f"overlay = {path}: holds the directory where changes are kept ({kept}); move "
                f"that with XDG_STATE_HOME, or name less",
            )
        for grant in policy.grants:
            if grant.right in ("read", "write", "append") and grant.target == path:
                raise PolicyError(
                    grant.origin, f"{grant.right} = {path}: is an overlay, too; leave out one"
                )
        found.append((path, stat))
    return found


def add(view: View, overlays: Sequence[Overlay]) -> list[Grant]:
    """Put them into the view, writable; the layers are attached before everything else.

    Returns what they are to the working directory and the judge.
    """
    for number, one in enumerate(overlays):
        base = f"/belljar/layers/{number}"
        data = os.stat(f"{one.store}/data")
        lower = ("bind", one.directory, f"{base}/lower", "i", str(one.device), str(one.inode))
        upper = (f"{one.store}/data", f"{base}/data", "w", str(data.st_dev), str(data.st_ino))
        view.add(*lower, "bind", *upper)
        view.mount(one.directory, "overlay", one.directory, base)
        view.allow(one.directory, "rlw")
    return [Grant("overlay", one.directory, _KEY, one.directory) for one in overlays]
