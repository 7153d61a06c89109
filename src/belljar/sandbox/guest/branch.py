"""A branch: a copy of this live guest that goes on by itself, with its own bridge and streams.

`branch` is asked in a guest and comes back in two. What the copy is given, and when it may go on,
the host says; who it is, the kernel tells the host. Part of the live guest's first lines; runs on
any CPython from 3.8.
"""

import marshal
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from belljar.sandbox.guest.boot import _read

_BRIDGE = 3
_LEFT_BEHIND = "it belongs to the sandbox that this one is a branch of"


class Branched(BaseException):
    """Raised in a branch: what its parent was doing is none of its business."""


def branch(peer: "Any", places: "tuple[int, ...]") -> None:
    """Make a branch whose standard streams and bridge are the descriptors at `places`; the last one
    leads to its channel. Returns in the guest; raises `Branched` in the branch, once the host lets
    it go on."""
    fds = [peer._claim_descriptor([place]) for place in places]
    channel = fds.pop()
    me = posix.getpid()
    try:
        _branch_here(channel)
    finally:
        posix.close(channel)
        if posix.getpid() == me:
            for fd in fds:
                posix.close(fd)
    if posix.getpid() == me:
        return
    try:
        _branch_begins(peer, fds)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        posix._exit(1)
    raise Branched


def own_channel(peer: "Any", places: "tuple[int, ...]") -> None:
    """From here on what is recorded of this process goes where no other can write."""
    channel = peer._claim_descriptor([places[0]])
    try:
        sys.audit("belljar.branch.channel", channel)
    finally:
        posix.close(channel)


def _branch_here(channel: int) -> None:
    try:
        sys.audit("belljar.branch", channel)
    except OSError as error:
        if error.errno != 16:  # EBUSY
            raise
        threading: "Any" = sys.modules.get("threading")
        names = ", ".join(sorted(one.name for one in threading.enumerate())) if threading else ""
        raise RuntimeError(
            "threads run in this sandbox (%s): a branch would have none of them, and what they "
            "hold would stay held; join them first" % (names or "of a library")
        ) from None


def _branch_begins(peer: "Any", fds: "list[int]") -> None:
    if peer._whole is not None:
        peer._whole.detach()  # its number is another's from here on
    for number, fd in enumerate(fds):
        posix.dup2(fd, number, number < _BRIDGE)
        posix.close(fd)
    for fd in [*peer.received, *peer.descriptors.values()]:
        if fd >= 0:
            posix.close(fd)
    posix.write(_BRIDGE, b"\x01")  # the host takes from the kernel who wrote it
    told = marshal.loads(_read(int.from_bytes(_read(4), "little")))
    for limit in told["limits"]:
        sys.audit("belljar.branch.limit", *limit)
    for place, size in told["shared"]:
        sys.audit("belljar.branch.own", place, size)
    _draw_other()
    sys.audit("belljar.branch.apart")
    sys.audit("belljar.begin")
    posix.write(_BRIDGE, b"\x01")


def _draw_other() -> None:
    """What would be drawn alike here and in the guest that this is a branch of. `random` and
    `secrets` see to themselves, OpenSSL was given new randomness."""
    loaded: "dict[str, Any]" = sys.modules
    numbers = loaded.get("numpy.random")
    if numbers is not None:
        numbers.seed()
    if "uuid" in loaded:
        loaded["uuid"]._node = loaded["uuid"]._last_timestamp = None
    if "tempfile" in loaded:
        loaded["tempfile"]._name_sequence = None
    if "multiprocessing.process" in loaded:
        process = loaded["multiprocessing.process"]
        key = process.AuthenticationString(posix.urandom(32))
        process.current_process()._config["authkey"] = key
