"""The guest's standard streams: what it is given, and what comes out, counted."""

from __future__ import annotations

import fcntl
import marshal
import os
import select
import time
from itertools import chain, starmap

from belljar.confine.keeper import close_all
from belljar.errors import PolicyError
from belljar.model import Policy


class Streams:
    """Descriptors for the guest (`given`), and the pipes that the host reads (`pipes`)."""

    def __init__(self, policy: Policy) -> None:
        self._open: list[int] = []
        self._flags: dict[int, int] = {}
        self.pipes: dict[int, int] = {}  # host's read end -> 1 or 2
        self.files: dict[int, int] = {}  # 1 or 2 -> the file that it is written to
        self.given: tuple[int, int, int] = (0, 1, 2)
        try:
            self.given = (
                self._input(policy),
                self._output(policy, "stdout", 1),
                self._output(policy, "stderr", 2),
            )
        except BaseException:
            self.close()
            raise

    def _input(self, policy: Policy) -> int:
        if policy.stdin == "inherit":
            # reading only: a terminal's descriptor could be written to, past the cap on output
            return self._file(policy, "stdin", "/proc/self/fd/0", os.O_RDONLY | os.O_NOCTTY)
        path = "/dev/null" if policy.stdin == "null" else policy.stdin
        return self._file(policy, "stdin", path, os.O_RDONLY)

    def _output(self, policy: Policy, name: str, number: int) -> int:
        setting = getattr(policy, name)
        if setting == "inherit":
            # shared with whoever else holds it: the guest may change its flags for all of them
            self._flags[number] = fcntl.fcntl(number, fcntl.F_GETFL)
            return number
        if setting != "capture":  # counted all the same, and the guest cannot go back in it
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            self.files[number] = self._file(policy, name, setting, flags)
            self._open.remove(self.files[number])
        made = self._open
        made.extend(chain.from_iterable(starmap(os.pipe, ((),))))  # kept as made, see `keeper`
        read, write = made[-2:]
        self.pipes[read] = number
        del made[-2]
        return write

    def _file(self, policy: Policy, name: str, path: str, flags: int) -> int:
        try:
            self._open.extend(starmap(os.open, ((path, flags | os.O_CLOEXEC, 0o644),)))
        except OSError as error:
            place = policy.origin(f"process.{name}")
            raise PolicyError(place, f"{name} = {path}: {error.strerror}") from error
        return self._open[-1]

    def handed_over(self) -> None:
        """The keeper has its copies: drop ours, so that the guest's end is the end."""
        close_all(self._open)

    def close(self) -> None:
        """Everything that is still open, and the flags of what was lent."""
        for fd, flags in self._flags.items():
            fcntl.fcntl(fd, fcntl.F_SETFL, flags)
        self._flags.clear()
        self.handed_over()
        for kept in (self.pipes, dict.fromkeys(self.files.values(), 0)):
            while kept:
                os.close(kept.popitem()[0])
        self.files.clear()


def parameters(boot: dict[str, object]) -> bytes:
    """What the guest's first lines read from descriptor 3: their length, and marshalled data."""
    data = marshal.dumps(boot, 2)
    return len(data).to_bytes(4, "little") + data


def pass_on(fd: int, data: bytes, deadline: float) -> bool:
    """Write all of `data` to `fd`, waiting for a slow reader until `deadline` (monotonic).

    False when the reader is too slow. Raises `BrokenPipeError` when there is none.
    """
    view = memoryview(data)
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    while view:
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return False
        view = view[os.write(fd, view[:4096]) :]  # PIPE_BUF: never blocks once writable
    return True
