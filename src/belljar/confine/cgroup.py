"""A control group (v2) for the whole sandbox: memory, processor time and processes of all of it.

Used where the policy insists (`require = ["memory"]` or `["cpu"]`) or `BELLJAR_CGROUP` names a
directory for it. A group is made only where we were given the right to: in that directory, beside
our own group where its parent belongs to us (as beneath systemd's `user@UID.service`) or is marked
as delegated, or beneath the root group where we are in that ourselves, so that nobody manages it.
Version 1 has no delegation and is left alone. What was written is read back.
Documentation/admin-guide/cgroup-v2.rst; systemd's CGROUP_DELEGATION.md.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from belljar.errors import PolicyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from belljar.model import Policy

#: Where the tests put another tree.
MOUNT = "/sys/fs/cgroup"
_NEEDED = ("memory", "pids", "cpu")
_OVERHEAD = 8 << 20  # the keeper, init and their page tables
_VARIABLE = "BELLJAR_CGROUP"
GROUPED = "cgroup v2"
_PREFIX = "belljar-"


class Group:
    """A group of our own: `add` the keeper before it makes anything. `close` ends what is in it."""

    def __init__(self, parent: str, policy: Policy, more: int = 0) -> None:
        limits = policy.limits
        self.path = os.path.join(parent, f"{_PREFIX}{os.getpid()}-{os.urandom(4).hex()}")
        self._limit = limits.cpu
        os.mkdir(self.path, 0o755)
        try:
            self._set("memory.max", str(limits.memory + _OVERHEAD))
            self._set("memory.swap.max", "0", optional=True)  # a kernel without swap has none
            # keeper and init besides
            self._set("pids.max", str(limits.threads + limits.processes + 2 + more))
        except OSError:
            self.close()
            raise

    def _set(self, name: str, value: str, *, optional: bool = False) -> None:
        path = os.path.join(self.path, name)
        if optional and not os.path.exists(path):
            return
        fd = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)
        if name in ("cgroup.procs", "cgroup.kill"):
            return
        kept = self._get(name)
        page = 4096
        same = kept == value or (kept.isdigit() and int(kept) == int(value) // page * page)
        if not same:
            raise OSError(22, f"{name} is {kept}, not {value}", path)

    def _get(self, name: str) -> str:
        with open(os.path.join(self.path, name), encoding="ascii", errors="replace") as file:
            return file.read(1 << 16).strip()

    def add(self, pid: int) -> None:
        """Put a process in, and see that it is there. Raises `OSError`."""
        self._set("cgroup.procs", str(pid))
        if str(pid) not in self._get("cgroup.procs").split():
            raise OSError(3, "is not in its control group", self.path)

    def seconds(self) -> float:
        """Processor time that all in it have used."""
        return self._field("cpu.stat", "usage_usec") / 1e6

    def over(self) -> bool:
        """Whether that is more than the policy's limit."""
        return self.seconds() > self._limit

    def killed(self) -> int:
        """How many processes the memory limit ended."""
        return self._field("memory.events", "oom_kill")

    def peak(self) -> int:
        """The most memory in bytes that all used at a time; 0 before Linux 5.19."""
        try:
            text = self._get("memory.peak")
        except OSError:
            return 0
        return int(text) if text.isdigit() else 0

    def _field(self, name: str, field: str) -> int:
        try:
            for line in self._get(name).splitlines():
                key, _, value = line.partition(" ")
                if key == field and value.isdigit():
                    return int(value)
        except OSError:
            pass  # it is gone: nothing is in it
        return 0

    def close(self) -> None:
        """End what is left in it and remove it. Never raises: an empty group limits nobody, and
        the next run removes it."""
        with suppress(OSError):
            self._set("cgroup.kill", "1", optional=True)
        for _ in range(50):
            try:
                os.rmdir(self.path)
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.01)  # the kernel takes dead processes out a moment later
            else:
                return


def join(policy: Policy, pid: int, more: int = 0) -> tuple[Group | None, str]:
    """A group with `pid` in it, and words for the receipt: what enforces, or why there is none.
    `more` are processes beside those that the policy counts.

    Raises `PolicyError` for a directory that was named and cannot be used.
    """
    group, reason = make(policy, more)
    if group is None:
        return None, reason
    try:
        group.add(pid)
    except OSError as error:
        group.close()
        reason = f"{group.path}: {error.strerror}"
        if os.environ.get(_VARIABLE):
            raise PolicyError(_VARIABLE, reason) from error
        return None, reason
    return group, GROUPED


def make(policy: Policy, more: int = 0) -> tuple[Group | None, str]:
    """A group for this run, or why there is none. Raises `PolicyError` for a directory that was
    named and cannot be used."""
    named = os.environ.get(_VARIABLE, "")
    if not named and not {"memory", "cpu"} & set(policy.require):
        return None, ""
    parent, reason = (named, _unfit(named)) if named else _beside()
    if not reason:
        try:
            _sweep(parent)
            return Group(parent, policy, more), ""
        except OSError as error:
            reason = f"{parent}: {error.strerror}"
    if named:
        raise PolicyError(_VARIABLE, reason)
    return None, reason


def _beside() -> tuple[str, str]:
    try:
        with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError as error:
        return "", f"/proc/self/cgroup: {error.strerror}"
    own = next((line[3:] for line in lines if line.startswith("0::/")), "")
    if not own:
        return "", "no control groups of version 2"
    if own == "/":
        if os.geteuid() != 0 or os.path.exists(f"{MOUNT}/cgroup.type"):  # the true root has none
            return "", "we are in the root group of a namespace, beside which there is none"
        return MOUNT, _unfit(MOUNT)
    parent = os.path.dirname(os.path.normpath(MOUNT + own))
    reason = _unfit(parent)
    if reason or _given(parent):
        return parent, reason
    return parent, f"{parent} was not delegated to us"


def _unfit(parent: str) -> str:
    try:
        with open(os.path.join(parent, "cgroup.subtree_control"), encoding="ascii") as file:
            enabled = file.read(4096).split()
    except OSError as error:
        return f"{parent}: {error.strerror}"
    missing = [name for name in _NEEDED if name not in enabled]
    if missing:
        return f"{parent} has no control over {' and '.join(missing)}"
    if not os.access(parent, os.W_OK) or not os.access(f"{parent}/cgroup.procs", os.W_OK):
        return f"{parent} may not be written"
    return ""


def _given(parent: str) -> bool:
    """Whether its owner gave it to us: ours, and for root marked, because all is root's."""
    for name in ("user.delegate", "trusted.delegate"):
        try:
            if os.getxattr(parent, name) == b"1":
                return True
        except OSError:
            continue
    return os.geteuid() != 0 and os.stat(parent).st_uid == os.geteuid()


def _sweep(parent: str) -> None:
    """Remove empty groups of runs whose host process was killed."""
    for name in os.listdir(parent):
        pid = name.removeprefix(_PREFIX).partition("-")[0]
        if not name.startswith(_PREFIX) or not pid.isdigit():
            continue
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            try:
                os.rmdir(os.path.join(parent, name))
            except OSError:
                continue  # not empty yet, or another's
        except (PermissionError, OverflowError):
            continue
