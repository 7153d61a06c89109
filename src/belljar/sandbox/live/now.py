"""What a guest that is made before it is asked for depends on, beside its plan."""

from __future__ import annotations

import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.model import Policy

#: Descriptors of one ready guest, about: half of what the host may have stays free.
_DESCRIPTORS: Final = 16
_SPACE: Final = "/proc/thread-self/ns/mnt"


class Mounts:
    """Whether the host's mounts have changed: a ready guest has those of before."""

    def __init__(self) -> None:
        self._open()

    def _open(self) -> None:
        self._space = os.stat(_SPACE).st_ino
        self._fd = os.open("/proc/thread-self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLPRI)  # proc_pid_mounts(5)

    def changed(self) -> bool:
        """Since it was last asked; or this thread has others than who asked last."""
        if os.stat(_SPACE).st_ino != self._space:
            os.close(self._fd)
            self._open()
            return True
        return bool(self._poll.poll(0))

    def close(self) -> None:
        """Let go of the list."""
        os.close(self._fd)


def may_wait(policy: Policy) -> bool:
    """Whether a guest of this policy can be made before it is asked for: nothing outside must come
    of it, and no rule must watch it.

    >>> from belljar.model import Policy
    >>> may_wait(Policy()), may_wait(Policy(stdout="/srv/log"))
    (True, False)
    """
    streams = policy.stdin == "null" and policy.stdout == policy.stderr == "capture"
    appends = any(grant.right == "append" for grant in policy.grants)
    return streams and not (appends or policy.overlay or policy.rules)


def whose() -> tuple[object, ...]:
    """What a sandbox inherits of its host, and no plan tells: users, and the namespaces that paths
    and connections lead through."""
    spaces = (os.stat(f"/proc/thread-self/ns/{name}").st_ino for name in ("mnt", "net"))
    root = os.stat("/")
    users = os.getresuid(), os.getresgid(), tuple(os.getgroups())
    return (*users, *spaces, os.environ.get("TMPDIR"), root.st_dev, root.st_ino)


def is_room() -> bool:
    """Are there descriptors enough that the host does not miss them?"""
    import resource

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if most == resource.RLIM_INFINITY:
        return True
    return len(os.listdir("/proc/self/fd")) + _DESCRIPTORS < most // 2
