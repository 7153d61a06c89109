"""Start the keeper, and understand what it reports. The keeper is ours: its lines are trusted."""

from __future__ import annotations

import os
import select
import struct
import time
from _functools import partial  # type: ignore[import-not-found]  # functools is slow to import
from errno import EBUSY
from itertools import chain, repeat, starmap

from belljar._native import KEEPER
from belljar.confine.words import encode
from belljar.errors import BelljarError, InternalError, TemplateEnded, Unenforceable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from belljar.confine.template import Template

#: How long a keeper that was told to end may take, in seconds.
_GRACE = 5
#: Of a filter with a listener (`--connect` needs one) there is only one in a tree of processes.
_ONE_LISTENER = (
    "another program already supervises this process tree (`belljar watch --cross-check` does): "
    "run it outside of that, or without --connect"
)
#: What a failed step of the keeper means: the protection, and what to do.
STEPS = {
    "user-namespace": ("files", "allow unprivileged user namespaces, or accept the landlock tier"),
    "namespaces": (
        "files",
        "allow user namespaces (sysctl user.max_user_namespaces; on Ubuntu "
        "kernel.apparmor_restrict_unprivileged_userns)",
    ),
    "idmap": ("files", "run as the files' owner instead of as root, or use another file system"),
    "mounts": ("files", "check the granted path and its file system"),
    "overlay": (
        "overlay",
        "use Linux 5.11 or newer, and put XDG_STATE_HOME on a file system that can be an upper "
        "layer (ext4, xfs, btrfs; no overlay, no network file system)",
    ),
    "landlock": ("files", "use a kernel with Landlock (5.13 or newer, lsm=landlock)"),
    "mediation": (
        "network",
        "let belljar trace its own child (kernel.yama.ptrace_scope below 2), or leave out connect "
        "and append",
    ),
    "unix-socket": ("network", "it was replaced while the sandbox was made: try again"),
    "datagrams": ("network", "grant no UDP on this machine"),
    "seccomp": ("syscalls", "use a kernel with seccomp filters"),
    "privileges": ("syscalls", "report this machine's security module"),
    "limits": ("memory", "raise the limits that belljar itself runs under"),
    "append": ("files", "it was replaced while the sandbox was made: try again"),
    "cwd": ("files", "run from a directory that is granted"),
}


class _Held:
    """What the host has of a keeper until that is closed. Lost (by an interrupt while the keeper
    starts, say), it ends the keeper."""

    pids: list[int] | tuple[()] = ()  # until it is made, there is nothing to end
    open: list[int]

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.open = []
        self.control: list[int] = []
        self.report: list[int] = []
        self.pids = []

    def close_open(self) -> None:
        close_all(self.open)

    def __del__(self) -> None:
        if type(self.pids) is tuple or os.getpid() != self.owner:
            return
        for fds in (self.open, self.control, self.report):
            close_all(fds)
        for pid in self.pids:
            try:
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    os.kill(pid, 9)  # its children die of its end
                    os.waitpid(pid, 0)
            except ChildProcessError:
                return  # the program that we are part of waits for all children itself


def close_all(fds: list[int]) -> None:
    """Close and forget them in one step: after an interrupt none is closed twice, or left."""
    any(map(os.close, map(fds.pop, repeat(-1, len(fds)))))


class Keeper:
    """A running keeper. Closing it ends everything in its sandbox.

    It is started before the plan is known, so that it starts while the plan is made; it waits
    for `build()`. With a `template` its guest is forked from that one, by the same words; `tier()`
    makes the guest's init then, so that a keeper that was told its tier is a parked guest. `report`
    is the descriptor to poll for lines; `read()` returns those that came. One that is lost, also
    by an interrupt while it starts, ends at once.
    """

    def __init__(
        self, streams: tuple[int, int, int], go: int, template: Template | None = None
    ) -> None:
        self.pid, self.report, self.ended = 0, -1, False
        self._rest = b""
        self._told = 0.0
        self._words = encode(["template", "fork"]) if template is not None else b""
        held = _Held()
        self._held: _Held | None = held
        self._control = held.control  # popped by who closes it: threads may end it at once
        try:
            self._start(streams, go, template, held)
        finally:
            held.close_open()

    def _start(
        self, streams: tuple[int, int, int], go: int, template: Template | None, held: _Held
    ) -> None:
        more = template.ask(streams, go) if template is not None else ()
        ends = [*more[:1]]
        held.open = ends
        # kept in the same step in which they are made: no interrupt comes between
        ends.extend(chain.from_iterable(starmap(os.pipe, ((), ()))))
        control_out, control, report, report_in = ends[-4:]
        actions: list[tuple[int, ...]] = []
        # high copies first: a source may be one of the numbers that the next line overwrites
        wanted = (*streams, control_out, report_in, go, *more)
        spare = max(wanted) + 1
        for index, fd in enumerate(wanted):
            actions.append((os.POSIX_SPAWN_DUP2, fd, spare + index))
        for index in range(len(wanted)):
            actions.append((os.POSIX_SPAWN_DUP2, spare + index, index))
        for index in range(len(wanted)):
            actions.append((os.POSIX_SPAWN_CLOSE, spare + index))
        pids: list[int] = []
        held.pids = pids
        spawn = partial(os.posix_spawn, KEEPER, ["belljar-keeper"], {}, file_actions=actions)
        try:
            pids.extend(starmap(spawn, ((),)))
        except OSError as error:
            raise InternalError(f"the keeper does not start: {error}") from error
        held.open, held.control, held.report = (
            [control_out, report_in, *more[:1]], [control], [report],
        )  # fmt: skip
        self.pid, self.report, self._control = pids[0], report, held.control

    def tier(self, words: bytes) -> None:
        """Hand over the tier, with which the namespaces can be made."""
        self._send(words + self._words)

    def build(self, plan: bytes) -> None:
        """Hand over the plan: from here on the walls rise. `tier()` comes first."""
        self._send(plan)

    def _send(self, plan: bytes) -> None:
        data = memoryview(struct.pack("<I", len(plan)) + plan)
        if not self._control:
            return  # killed before it began
        try:
            while data:
                data = data[os.write(self._control[0], data) :]
        except BrokenPipeError:
            pass  # it failed already and its report says why

    def read(self) -> list[list[str]]:
        """Lines reported since the last call, split at spaces. Call when `report` is readable."""
        data = os.read(self.report, 1 << 16)
        if not data:
            self.ended = True
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        return [line.decode("utf-8", "surrogateescape").split(" ", 3) for line in lines]

    def kill(self) -> None:
        """End the sandbox: the keeper sees its control pipe close. One that does not, and is told
        again after a while, is ended itself, and the sandbox with it."""
        if self._control:
            self._told = time.monotonic()
            try:
                close_all(self._control)
            except IndexError:
                return  # another thread does
        elif self.pid and not self.ended and time.monotonic() - self._told > _GRACE:
            os.kill(self.pid, 9)

    def abandon(self) -> None:
        """In a child of the host's: the sandbox is the parent's. Drops the descriptors, no more."""
        held, self._held = self._held, None
        if held is not None:
            held.owner, held.pids = os.getpid(), []
            close_all(self._control)
            close_all(held.report)
        self.pid, self.ended = 0, True

    def close(self) -> None:
        """Kill, wait for the end, free everything. May be called twice."""
        self.kill()
        if self.pid:
            poll = select.poll()
            poll.register(self.report, select.POLLIN)
            until = self._told + 2 * _GRACE
            while not self.ended:
                left = until - time.monotonic()
                if left > 0 and poll.poll(left * 1000):
                    self.read()
                elif left <= 0:
                    os.kill(self.pid, 9)  # its children die of its end
                    break
            try:
                os.waitpid(self.pid, 0)
            except ChildProcessError:
                self.ended = True  # the program that we are part of waits for all children itself
            held, self._held, self.pid = self._held, None, 0
            if held is not None:
                held.pids = []
                close_all(held.report)


def refusal(line: list[str]) -> BelljarError:
    """The error for an `error STEP ERRNO DETAIL` line."""
    step, number, detail = line[1], int(line[2]), line[3] if len(line) > 3 else ""
    cause = os.strerror(number) + (f" ({detail})" if detail else "")
    if step in STEPS:
        protection, remedy = STEPS[step]
        if step == "seccomp" and number == EBUSY:
            remedy = _ONE_LISTENER
        return Unenforceable(protection, f"{step}: {cause}", remedy)
    if step == "template":
        return TemplateEnded(f"the template cannot be forked: {cause}")
    if step == "exec":
        return BelljarError(f"the interpreter does not start inside the sandbox: {cause}")
    return InternalError(f"keeper: {step}: {cause}")
