"""Branches against one another, against what they came from, and guests that lie about branches."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

import belljar
from belljar.errors import BelljarError, GuestProtocolError, SandboxEnded
from belljar.sandbox.live.processes import Process

LONG = 60.0
CTYPES: Any = {"import_": ["ctypes"], "names": "visible"}
#: In a guest: another answer to the host's question for a branch. `claimed` are its descriptors.
LIE = """
import ctypes, os
def lie(deed):
    peer = host._side._peer
    def answer(places):
        return deed([peer._claim_descriptor([place]) for place in places])
    peer._serve.__self__.more["branch"] = answer
def copies(n, deed):
    for _ in range(n):
        pid = ctypes.PyDLL(None, use_errno=True).fork()  # past the window
        if pid == 0:
            try:
                deed()
            finally:
                os._exit(0)
        if pid < 0:
            raise OSError(ctypes.get_errno(), "fork")
def wait_for_ever():
    import time
    while True:
        time.sleep(100)
"""


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + LONG / 2
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def beneath(box: belljar.Sandbox) -> set[int]:
    from belljar.sandbox.live.clocks import processes_beneath

    return processes_beneath(box._guest.family.init)


def running(box: belljar.Sandbox) -> set[int]:
    return {pid for pid in beneath(box) if not Process(pid).ended}


def test_the_programs_own_forks_are_refused_as_ever() -> None:
    with belljar.Sandbox(ledger="none", branches=2) as box, box.fork() as branch:
        for each in (box, branch):
            assert each.run("import os; os.fork()").error.type_name == "PermissionError"
            assert each.run("os.forkpty()").error.type_name == "PermissionError"


# --- a hostile branch of an honest state --------------------------------------------------------


@pytest.mark.parametrize("engine", ["template", "cold"])
def test_a_branch_reaches_neither_its_parent_nor_its_siblings(engine: str) -> None:
    with belljar.Sandbox(ledger="none", branches=3, engine=engine, **CTYPES) as box:
        box.run("import ctypes, os\nsecret = bytearray(b'of the parent')\nbefore = os.getpid()")
        one, two = box.fork(), box.fork()
        pids = [box.eval("os.getpid()"), two.eval("os.getpid()")]
        one.put(pids=pids)
        result = one.run("""
libc = ctypes.CDLL(None, use_errno=True)
def number(deed):
    try:
        deed()
    except OSError as error:
        return error.errno
    return 0
def call(name, *args):
    ctypes.set_errno(0)
    if getattr(libc, name)(*args) == -1:
        raise OSError(ctypes.get_errno(), name)
class Piece(ctypes.Structure):
    _fields_ = [("at", ctypes.c_void_p), ("size", ctypes.c_size_t)]
told = []
for pid in pids:
    told += [number(lambda: os.kill(pid, n)) for n in (0, 9, 15)]
    mine, theirs = Piece(id(secret), 8), Piece(id(secret), 8)
    pieces = ctypes.byref(mine), 1, ctypes.byref(theirs), 1
    told.append(number(lambda: call("process_vm_readv", pid, *pieces, 0)))
    told.append(number(lambda: call("ptrace", 16, pid, 0, 0)))
    told.append(number(lambda: call("syscall", 434, pid, 0)))  # pidfd_open
told
""")
        assert result.error is None, result.error
        assert 0 not in result.value
        one.run("os.kill(-1, 9)")  # whomever it may: that is nobody
        assert box.eval("bytes(secret)") == b"of the parent"
        assert two.eval("os.getpid()") == pids[1]
        one.run("os.kill(os.getpid(), 9)")  # itself it may
        assert one.ended_by == "signal"
        assert box.eval("before") == pids[0]


def test_a_branch_that_does_not_take_its_limits_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And nobody sets them by a number from outside, which could be another's in a moment."""
    import resource

    asked: list[int] = []
    real = resource.prlimit
    monkeypatch.setattr(
        resource, "prlimit", lambda pid, *rest: asked.append(pid) or real(pid, *rest)
    )
    with belljar.Sandbox(ledger="none", branches=2, **CTYPES) as box:
        with box.fork(memory="64M", open_files=50) as one:
            told = one.eval("[__import__('resource').getrlimit(n) for n in (2, 7, 0)]")
            assert told[:2] == [(64 << 20, 64 << 20), (50, 50)]
            assert told[2][0] < 1000
        box.run(
            LIE
            + """
import sys
real = sys.audit
sys.audit = lambda name, *args: name == "belljar.branch.limit" or real(name, *args)
"""
        )
        with pytest.raises(BelljarError, match="has not set its limit of data size"):
            box.fork(memory="64M")
        assert box.eval("1") == 1
    assert not asked


def test_a_branch_cannot_leave_its_limits_behind() -> None:
    with belljar.Sandbox(ledger="none", branches=2) as box, box.fork(memory="64M") as one:
        raised = one.run(
            "import resource\nresource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))"
        )
        assert raised.error.type_name in ("ValueError", "PermissionError")
        assert one.run("x = bytes(200 << 20)").error.type_name == "MemoryError"


@pytest.mark.parametrize("engine", ["template", "cold"])
def test_what_makes_copies_by_itself_is_bounded_and_ended(engine: str) -> None:
    with belljar.Sandbox(ledger="none", branches=3, threads=2, engine=engine, **CTYPES) as box:
        box.run(LIE)
        branch = box.fork()
        made = (
            branch.eval("0")
            or branch.run("""
count = 0
try:
    while count < 1000:
        copies(1, wait_for_ever)
        count += 1
except OSError as error:
    count = (count, error.errno)
count
""").value
        )
        assert made[0] <= 8, made
        assert made[1] == 11
        until(lambda: running(box) == {box._guest.pid, branch._guest.pid})
        assert (box.eval("1"), branch.eval("1")) == (1, 1)
        branch.close()  # then init waits for what it left
        until(lambda: beneath(box) == {box._guest.pid})
        with box.fork() as other:
            assert other.eval("2") == 2


def test_processor_time_of_copies_that_nobody_asked_for_counts() -> None:
    with belljar.Sandbox(ledger="none", branches=3, cpu=0.4, **CTYPES) as box:
        box.run(LIE)
        box.run("def burn():\n    while True: pass")
        again = "while True:\n    try:\n        if not os.waitpid(-1, os.WNOHANG)[0]: break\n"
        again += "    except ChildProcessError: break\n"
        again += "try: copies(1, burn)\nexcept OSError: pass"
        end = time.monotonic() + LONG
        while not box.ended_by and time.monotonic() < end:
            try:
                box.run(again)
            except SandboxEnded:
                break
            time.sleep(0.1)
        assert box._guest.over.wait(LONG / 2)
        assert box.ended_by == "cpu"


def test_programs_and_other_copies_stay_refused() -> None:
    flags = {
        "a process in the same memory": 0x100 | 17,
        "one with the same files": 0x400 | 17,
        "a namespace of users": 0x10000000 | 17,
        "a sibling": 0x8000 | 17,
        "a plain one by hand": 17,
    }
    with (
        belljar.Sandbox(ledger="none", branches=2, **CTYPES) as box,
        box.fork() as branch,
    ):
        for each in (box, branch):
            each.put(flags=list(flags.values()))
            result = each.run("""
import ctypes, os, platform
libc = ctypes.CDLL(None, use_errno=True)
told = []
clone = 56 if platform.machine() == "x86_64" else 220
for one in flags:
    ctypes.set_errno(0)
    pid = libc.syscall(clone, one, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    told.append(ctypes.get_errno() if pid < 0 else 0)
for number in (435, 272 if clone == 56 else 97):  # clone3, unshare of users
    ctypes.set_errno(0)
    libc.syscall(number, 0x10000000, 0)
    told.append(ctypes.get_errno())
try:
    os.execv("/bin/true", ["true"])
except OSError as error:
    told.append(error.errno)
told
""")
            assert result.error is None, result.error
            assert all(result.value), ([*flags, "clone3", "unshare", "exec"], result.value)


# --- a guest that lies to the host --------------------------------------------------------------


def test_a_guest_that_makes_no_branch_is_told_of() -> None:
    with belljar.Sandbox(ledger="none", branches=2, **CTYPES) as box:
        box.run(LIE + "lie(lambda fds: [os.close(fd) for fd in fds] and None)")
        with pytest.raises(BelljarError, match="made no branch"):
            box.fork()
        assert box.eval("1") == 1
        assert box._guest.family.pending == 0


def test_a_guest_that_keeps_what_the_branch_was_to_have_ends_by_the_clock() -> None:
    with belljar.Sandbox(ledger="none", branches=2, wall=1, **CTYPES) as box:
        box.run(LIE + "lie(lambda fds: None)")
        with pytest.raises(SandboxEnded) as ended:
            box.fork()
        assert ended.value.ended_by == "wall"


@pytest.mark.parametrize(
    ("lie", "error"),
    [
        ("os.write(fds[3], b'\\1')", GuestProtocolError),  # the guest itself
        ("copies(1, lambda: (os.write(fds[3], b'\\1'), wait_for_ever()))", GuestProtocolError),
        ("os.write(fds[3], b'\\2')", BelljarError),
        ("None, 5", GuestProtocolError),
    ],
)
def test_another_process_in_the_place_of_a_branch_ends_the_guest(
    lie: str, error: type[BaseException]
) -> None:
    with belljar.Sandbox(ledger="none", branches=3, wall=20, **CTYPES) as box:
        tail = "[1]" if "5" in lie else "[2]"
        box.run(
            LIE + f"lie(lambda fds: (None, None, {lie}){tail} and None)"
            if "5" not in lie
            else LIE + "lie(lambda fds: 5)"
        )
        with pytest.raises(error):
            box.fork()
        init = box._guest.family.init
    assert not os.path.exists(f"/proc/{init}")


def test_credentials_of_another_are_the_kernels_to_refuse() -> None:
    with belljar.Sandbox(ledger="none", branches=3, wall=20, **CTYPES) as box:
        branch = box.fork()
        box.put(other=branch.eval("__import__('os').getpid()"))
        box.run(
            LIE
            + """
import socket, struct
def forge(fds):
    bridge = socket.socket(fileno=fds[3])
    try:
        bridge.sendmsg([b"\\1"], [(1, 2, struct.pack("3i", other, os.getuid(), os.getgid()))])
    finally:
        bridge.close()
lie(forge)
"""
        )
        with pytest.raises((BelljarError, belljar.GuestError)):
            box.fork()
        assert branch.eval("1") == 1  # nothing was done to it
        branch.close()


def test_a_branch_that_begins_and_does_not_go_on_is_given_up() -> None:
    with belljar.Sandbox(ledger="none", branches=2, wall=2, **CTYPES) as box:
        box.run(
            LIE
            + """
import sys
real = sys.audit
def audit(name, *args):
    if name == "belljar.branch.apart":
        wait_for_ever()
    return real(name, *args)
sys.audit = audit
"""
        )
        with pytest.raises(BelljarError, match="has not begun"):
            box.fork()
        until(lambda: beneath(box) <= {box._guest.pid})
        assert box.eval("1") == 1


def test_a_greeting_brings_no_descriptor_into_the_host() -> None:
    with belljar.Sandbox(ledger="none", branches=8, import_=["array"]) as box:
        box.fork().close()  # what a sandbox with branches has, it has from here on
        box.run(GREETS_WITH_DESCRIPTORS, check=True)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(4):
            with contextlib.suppress(BelljarError):
                box.fork().close()
        assert len(os.listdir("/proc/self/fd")) <= before


#: What runs in a branch first is code of a state that was hostile before.
GREETS_WITH_DESCRIPTORS = """
import sys, _socket, array
frame = sys._getframe()
while "_branch_begins" not in frame.f_globals: frame = frame.f_back
names = frame.f_globals
real = names["posix"]
class Posix:
    def __getattr__(self, name): return getattr(real, name)
    def write(self, fd, data):
        if fd == 3 and data == b"\\x01":
            bridge = _socket.socket(fileno=3)
            fds = array.array("i", [*real.pipe(), *real.pipe()])
            try: return bridge.sendmsg([data], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fds)])
            finally: bridge.detach()
        return real.write(fd, data)
names["posix"] = Posix()
"""
