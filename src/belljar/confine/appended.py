"""`append`: files that the guest may add to and no more.

Landlock has no such right, and a descriptor opened for appending loses that by `fcntl`. So the
guest never has the file: in its view a pipe lies at the path, and the host writes what comes out of
it to the end of the real file. It cannot read, truncate, overwrite, rename or remove what is there,
whatever it does with the pipe.
"""

from __future__ import annotations

import os

from belljar.confine.words import unused_uid
from belljar.errors import PolicyError, Unenforceable
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from belljar.model import Grant, Policy

_CHUNK = 1 << 16


class Pipe(Value):
    """`target` in the guest is the pipe `fifo` of the host."""

    target: str
    fifo: str


class Appended:
    """The files of one run; `pipes` for the plan, `fds` to poll and `take`.

    At most `limits.disk` bytes in all. Raises `PolicyError` for what cannot be appended to, and
    `Unenforceable` without mounts.
    """

    def __init__(self, policy: Policy, tier: str, directory: str) -> None:
        self.pipes: list[Pipe] = []
        self.fds: dict[int, int] = {}  # the pipe's end -> the file
        self._room = policy.limits.disk
        self._policy = policy
        grants = [g for g in policy.grants if g.right == "append"]
        if grants and tier == "landlock":
            raise Unenforceable(
                "append", "a file that can only be added to needs a mount namespace, which this "
                "machine does not give",
                "allow user namespaces, or grant a directory with --write",
            )  # fmt: skip
        try:
            for number, grant in enumerate(grants):
                self._add(grant, f"{directory}/append-{number}", tier)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Appended:
        return self

    def __exit__(self, *_exception: object) -> None:
        for pair in self.fds.items():
            for fd in pair:
                os.close(fd)
        self.fds.clear()
        for pipe in self.pipes:
            os.unlink(pipe.fifo)
        self.pipes.clear()

    def _add(self, grant: Grant, fifo: str, tier: str) -> None:
        source = grant.source or grant.target
        path = os.path.join(os.path.realpath(os.path.dirname(source)), os.path.basename(source))
        if any(pipe.target == grant.target for pipe in self.pipes):
            return
        for other in self._policy.grants:
            if other.right in ("read", "write") and other.target == grant.target:
                raise PolicyError(
                    grant.origin,
                    f"append = {source}: granted with {other.right}, too; leave out one",
                )
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            file = os.open(path, flags | os.O_CLOEXEC | os.O_NOCTTY, 0o644)
        except OSError as error:
            if grant.optional and isinstance(error, FileNotFoundError):
                return
            why = "is a directory; name the file" if error.errno == 21 else error.strerror
            why = "is a link; name what it leads to" if error.errno == 40 else why
            raise PolicyError(grant.origin, f"append = {source}: {why}") from error
        if os.fstat(file).st_mode & 0o170000 != 0o100000:
            os.close(file)
            raise PolicyError(grant.origin, f"append = {source}: is not a file")
        os.mkfifo(fifo, 0o600)
        self.pipes.append(Pipe(grant.target, fifo))
        # both ends, so that a guest that closes its own is not the end of it
        self.fds[os.open(fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)] = file
        if tier == "root":
            os.chown(fifo, unused_uid(), unused_uid())

    def take(self, fd: int) -> bool:
        """Write what has come to the file; False when there is no room for more."""
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return True
        left = memoryview(data[: self._room])
        self._room -= len(left)
        try:
            while left:
                left = left[os.write(self.fds[fd], left) :]
        except OSError:  # its disk is full: as if the limit were
            return False
        return len(data) == 0 or self._room > 0

    def finish(self) -> None:
        """All who could write are gone: what is in the pipes is all."""
        for fd in self.fds:
            while self._room > 0:
                before = self._room
                if not self.take(fd) or self._room == before:
                    break
