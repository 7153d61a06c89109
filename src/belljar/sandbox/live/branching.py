"""`Sandbox.fork`: the host's part. The guest is asked to make a copy of itself, and may lie.

Who came of it, the kernel tells: the first message on the new bridge names its sender, who has to
be a process of this sandbox that init has adopted and nobody knew. It is then held by a descriptor,
and only that is ever signalled. What it shares with its parent is read from outside; its limits it
is told, and they are looked at from outside before anybody has it.
"""

from __future__ import annotations

import _socket
import marshal
import os
import select
import time

from belljar.confine.cache import cache_directory
from belljar.confine.probe import probe
from belljar.confine.settings import limits as limit_words
from belljar.errors import (
    BelljarError,
    GuestEnded,
    GuestProtocolError,
    InternalError,
    PolicyError,
    Unenforceable,
)
from belljar.model import Policy
from belljar.policy.keywords import from_keywords
from belljar.sandbox.asking import settings
from belljar.sandbox.live.asking import ended
from belljar.sandbox.live.clocks import parent_of
from belljar.sandbox.live.cold import greeting
from belljar.sandbox.live.family import Member
from belljar.sandbox.live.processes import Process, number_inside
from belljar.sandbox.live.supervisor import supervisor
from belljar.sandbox.streams import Streams
from belljar.watch.own import Own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Final

    from belljar.sandbox.live.asking import Asking
    from belljar.sandbox.live.family import Family
    from belljar.sandbox.result import Denial

_SO_PASSCRED: Final = 16
_READY: Final = b"\x01"
_SCOPES: Final = 6  # the Landlock ABI that keeps signals within a domain
#: How many branches of one sandbox may live at a time.
MOST: Final = 10_000
#: What may be less in a branch, each set from outside for that one process.
NARROWER: Final = ("memory", "cpu", "wall", "output", "open_files", "disk")
#: What it may be told to keep, of grants that the guest itself narrows (docs/narrow.md).
RIGHTS: Final = ("read", "write", "append", "run", "connect", "bind", "import_")
_MOST_MAPS: Final = 32 << 20  # bytes of text
_MOST_SHARED: Final = 10_000
_SHARED = (b"/memfd:", b"/dev/zero (deleted)")  # memory without a name, not files


def check(policy: Policy, branches: object) -> int:
    """How many branches a sandbox may have. Raises `PolicyError` and `Unenforceable`."""
    if type(branches) is not int or not 0 <= branches <= MOST:
        raise PolicyError("branches=", f"how many branches may live at a time, at most {MOST}")
    if not branches:
        return 0
    if policy.limits.processes > 1 or any(grant.right == "run" for grant in policy.grants):
        raise PolicyError(
            "branches=", "a sandbox that may start processes or programs has no branches: leave "
            "out this, or processes and run"
        )  # fmt: skip
    facts = probe(cache_directory())
    if facts.tier == "landlock":
        why = "without a PID namespace a branch could outlive its sandbox"
        raise Unenforceable("processes", why, "leave out branches=")
    if facts.abi < _SCOPES:
        why = f"branches are kept from one another by Landlock ABI {_SCOPES}, not by {facts.abi}"
        raise Unenforceable("processes", why, "use Linux 6.12 or newer, or leave out branches=")
    return branches


def narrowed(policy: Policy, asked: Mapping[str, object]) -> Policy:
    """`policy` with these limits, each at most what it was. Raises `PolicyError`, `TypeError`."""
    for name in asked:
        if name not in NARROWER:
            can = ", ".join((*NARROWER, *RIGHTS))
            raise TypeError(f"{name}= cannot differ in a branch; there are: {can}")
    if "disk" in asked and any(grant.right == "append" for grant in policy.grants):
        raise PolicyError("disk=", "what is appended counts for all branches together")
    wanted = from_keywords(Policy(), asked).limits
    less = {name: getattr(wanted, name) for name in asked}
    for name, value in less.items():
        if value > getattr(policy.limits, name):
            raise PolicyError(f"{name}=", "this is more than the sandbox itself has")
    return policy.replace(limits=policy.limits.replace(**less))


def make(asking: Asking, policy: Policy, tell: Callable[[Denial], None]) -> Member:
    """A branch that waits for its first request. Raises `BelljarError` where there is none."""
    guest = asking.guest
    if not isinstance(guest, Member):
        raise BelljarError("this sandbox has no branches: make it with branches=, how many at most")
    asking._check_owner()
    if asking.objects.part_of() is not None:
        raise BelljarError("a branch is made between calls, not within one")
    if asking._turn.take(asking._look, asking.objects.part_of_one) is not None:
        raise BelljarError("a branch is made between calls, not within one")
    try:
        if asking._depth:
            raise BelljarError("a branch is made between calls, not within one")
        asking._check_alive()
        guest.family.reserve()
        deadline = time.monotonic() + guest.policy.limits.wall
        guest.clocks.begin(deadline)
        try:
            if guest.channel is None:
                _own_channel(asking, guest, deadline)
            return _make(asking, guest, policy, tell, deadline)
        finally:
            guest.clocks.end()
            guest.family.unreserve()
    finally:
        asking._turn.leave()


def _own_channel(asking: Asking, guest: Member, deadline: float) -> None:
    """Before others are there: the first guest speaks where only it can."""
    collector = guest.walls.collector
    channel = Own(collector, page=True, answers=bool(settings(guest.policy)))
    offered = -1
    try:
        offered = channel.offer()
        _ask(asking, "channel", [offered], deadline)
        guest.family.apart(channel)
    except BaseException:
        channel.close()
        raise
    finally:
        if offered >= 0:
            os.close(offered)
    supervisor().follow(guest, channel.fd)


def _make(
    asking: Asking, guest: Member, policy: Policy, tell: Callable[[Denial], None], deadline: float
) -> Member:
    ours, theirs = _socket.socketpair()
    streams = None
    channel = None
    offered = -1
    collector = guest.walls.collector
    try:
        channel = Own(collector, answers=bool(settings(guest.policy)))
        offered = channel.offer()
        ours.setsockopt(_socket.SOL_SOCKET, _SO_PASSCRED, 1)
        streams = _streams(policy, guest)
        _ask(asking, "branch", [*streams.given, theirs.fileno(), offered], deadline)
        theirs.close()
        os.close(offered)
        offered = -1
        streams.handed_over()
        process, number = _who(guest.family, ours, asking, deadline)
        ours.setsockopt(_socket.SOL_SOCKET, _SO_PASSCRED, 0)
        limits = _limits(policy, guest.policy)
        told = marshal.dumps({"shared": shared_memory(process.pid), "limits": limits}, 2)
        if process.ended:
            raise BelljarError("the branch has ended before it began")
        if not _ready(ours, len(told).to_bytes(4, "little") + told, deadline):
            raise BelljarError(f"the branch has not begun: {_last_words(streams)}")
        _check_limits(process, limits)
        for fd in streams.pipes:
            os.set_blocking(fd, False)
        family = guest.family
        judge = family.walls.new_judge(tell, channel.answer)
        made = Member(family, ours, streams, process, number, policy, judge, channel)
        with family.lock:
            family.join(made)
            made.collect(idle=True)
            made.since()  # how it began is no part of a result
    except BaseException as error:
        theirs.close()
        ours.close()  # a branch that there is ends of it, or as one that nobody knows
        if offered >= 0:
            os.close(offered)
        if channel is not None:
            channel.close()
        if streams is not None:
            streams.close()
        if isinstance(error, OSError):
            raise BelljarError(f"no branch could be made: {error.strerror}") from error
        raise
    return made


def _streams(policy: Policy, guest: Member) -> Streams:
    """Its own; where the output goes to a file, to the same one, behind what is there."""
    files = guest.output.files
    streams = Streams(
        policy.replace(
            stdin="null",
            stdout="capture" if 1 in files else policy.stdout,
            stderr="capture" if 2 in files else policy.stderr,
        )
    )
    try:
        for number, fd in files.items():
            streams.files[number] = os.dup(fd)
    except BaseException:
        streams.close()
        raise
    return streams


def _ask(asking: Asking, operation: str, fds: list[int], deadline: float) -> None:
    """Let the guest do it, with copies of these. Raises what it raises, or `SandboxEnded`."""
    guest = asking.guest
    answer = None
    if guest.alive:
        places: tuple[int, ...] = ()
        try:
            places = asking.peer.hand_over(fds)
        except GuestProtocolError as error:
            guest.failure = guest.failure or error
            guest.end("protocol")
        except GuestEnded:
            pass
        answer = asking._request(operation, places, deadline) if places else None
    if answer is None:
        guest.end("lost")
        guest.over.wait(10)
        raise guest.failure or ended(guest)
    if answer.error is not None:
        raise answer.error
    if answer.value is not None:
        raise _lied(asking, "it answers with a value")


def _who(
    family: Family, ours: _socket.socket, asking: Asking, deadline: float
) -> tuple[Process, int]:
    """Whose bridge it is: a process held by a descriptor, and its number in the sandbox."""
    pid = greeting(ours) if _waits(ours, deadline) else -1
    if pid < 0:
        asking.guest.end("wall")
        asking.guest.over.wait(10)
        raise ended(asking.guest)
    if not pid:
        raise BelljarError("the guest made no branch")
    try:
        process = Process(pid)
    except OSError:
        raise BelljarError("the branch has ended before it began") from None
    known = any(pid == member.pid for member in list(family.members.values()))
    adopted = parent_of(pid) == family.init
    number = number_inside(pid)
    if process.ended:  # so what was read may have been another's
        raise BelljarError("the branch has ended before it began")
    if known or not adopted or number in family.members:
        raise _lied(asking, "another process speaks")
    if not number or not process.send(0):
        raise BelljarError("no branch could be made: this process may not signal it")
    return process, number


def _lied(asking: Asking, what: str) -> GuestProtocolError:
    guest = asking.guest
    error = GuestProtocolError(f"from the guest, of a branch: {what}")
    guest.failure = guest.failure or error
    guest.end("protocol")
    guest.over.wait(10)
    return error


def _waits(ours: _socket.socket, deadline: float) -> bool:
    poll = select.poll()
    poll.register(ours.fileno(), select.POLLIN)
    return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))


def _ready(ours: _socket.socket, told: bytes, deadline: float) -> bool:
    """Let it go on, and wait until it has done what it is told."""
    try:
        ours.settimeout(max(0.001, deadline - time.monotonic()))
        ours.sendall(told)
        ours.settimeout(max(0.001, deadline - time.monotonic()))
        return ours.recv(1) == _READY
    except OSError:
        return False
    finally:
        ours.settimeout(None)


def _last_words(streams: Streams) -> str:
    """What it wrote to its standard error, in one line."""
    for fd, number in streams.pipes.items():
        if number == 2:
            os.set_blocking(fd, False)
            try:
                text = os.read(fd, 1 << 16).decode("ascii", "replace").strip()
            except BlockingIOError:
                break
            return ascii(text.rpartition("\n")[2])[1:-1] or "it says nothing"
    return "it says nothing"


#: The limits that differ: their numbers (setrlimit(2), the same on all machines), and what proc(5)
#: calls them.
_NUMBERS: Final = {"cpu": 0, "fsize": 1, "data": 2, "nofile": 7, "as": 9}
_NAMES: Final = {0: "cpu time", 1: "file size", 2: "data size", 7: "open files", 9: "address space"}


def _limits(policy: Policy, parent: Policy) -> list[tuple[int, int, int]]:
    """Its own limits, soft and hard, where they are others than it has by its birth; those of its
    life in the kernel begin anew."""
    words = limit_words(policy, "", live=True)
    before = limit_words(parent, "", live=True)
    return [
        (_NUMBERS[words[at + 1]], int(words[at + 2]), int(words[at + 3]))
        for at in range(0, len(words), 4)
        if words[at + 1] == "cpu" or words[at : at + 4] != before[at : at + 4]
    ]


def _check_limits(process: Process, limits: list[tuple[int, int, int]]) -> None:
    """That it has them: they can only be lowered from here on. It sets them itself, because the
    kernel takes limits from outside by a number alone, which may be another's in a moment."""
    try:
        with open(f"/proc/{process.pid}/limits", "rb") as file:
            text = file.read(1 << 13).decode("ascii", "replace")
    except OSError:
        text = ""
    if process.ended:  # so what was read may have been another's
        raise BelljarError("the branch has ended before it began")
    for number, soft, hard in limits:
        name = _NAMES[number]
        words = text.partition(f"Max {name} ")[2].split()[:2]
        is_known = len(words) == 2
        for word, most in zip(words, (soft, hard), strict=False):
            if most < 1 << 63 and not (word.isdigit() and int(word) <= most):
                is_known = False
        if not is_known:
            raise BelljarError(f"no branch could be made: it has not set its limit of {name}")


def shared_memory(pid: int) -> list[tuple[int, int]]:
    """Places and sizes of what a process has mapped to be shared: memory without a name that it can
    write somewhere. What is left of files is files, and is shared as those are.

    Raises `BelljarError` where it cannot be seen.
    """
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:
            text = file.read(_MOST_MAPS)
    except OSError as error:
        raise BelljarError(
            f"no branch could be made: what it shares cannot be seen ({error.strerror})"
        ) from None
    if len(text) == _MOST_MAPS:
        raise InternalError("a process with too many mappings")
    found: list[tuple[Any, bool, int, int]] = []
    for line in text.splitlines():
        fields = line.split(None, 5)
        if len(fields) == 6 and fields[1][3:4] == b"s" and fields[5].startswith(_SHARED):
            first, _, last = fields[0].partition(b"-")
            begin = int(first, 16)
            node = fields[3], fields[4]
            found.append((node, fields[1][1:2] == b"w", begin, int(last, 16) - begin))
    if len(found) > _MOST_SHARED:
        raise BelljarError("no branch could be made: the guest shares memory in too many places")
    written = {node for node, write, _, _ in found if write}
    return [(begin, size) for node, _, begin, size in found if node in written]
