"""What a process may set of others by their numbers: a branch nothing of anybody."""

from __future__ import annotations

from typing import Any

import pytest

import belljar

CTYPES: Any = {"import_": ["ctypes"], "names": "visible"}
SETTLES = """
import ctypes, os, platform, struct
libc = ctypes.CDLL(None, use_errno=True)
numbers = {  # x86-64, arm64
    "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119), "sched_setparam": (142, 118),
    "sched_setattr": (314, 274), "setpriority": (141, 140), "ioprio_set": (251, 30),
    "prlimit64": (302, 261), "process_madvise": (440, 440), "migrate_pages": (256, 238),
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "setpgid": (109, 154),
}
def call(name, *args):
    ctypes.set_errno(0)
    number = numbers[name][platform.machine() != "x86_64"]
    return libc.syscall(number, *args) < 0 and ctypes.get_errno()
def settle(pid):
    room = ctypes.create_string_buffer(struct.pack("<QQ", 50, 50) + bytes(64))
    one = ctypes.create_string_buffer(b"\\1" + bytes(127))
    queued = struct.pack("<iii", 23, 0, -1) + bytes(116)
    return {
        "sched_setaffinity": call("sched_setaffinity", pid, 128, one),
        "sched_setscheduler": call("sched_setscheduler", pid, 3, ctypes.create_string_buffer(8)),
        "sched_setparam": call("sched_setparam", pid, ctypes.create_string_buffer(8)),
        "sched_setattr": call("sched_setattr", pid, struct.pack("<II", 48, 3) + bytes(40), 0),
        "setpriority": call("setpriority", 0, pid, 19),
        "ioprio_set": call("ioprio_set", 1, pid, 3 << 13),
        "prlimit64": call("prlimit64", pid, 7, room, None),
        "process_madvise": call("process_madvise", pid, None, 0, 4, 0),
        "migrate_pages": call("migrate_pages", pid, 0, None, None),
        "kill": call("kill", pid, 23),
        "tkill": call("tkill", pid, 23),
        "tgkill": call("tgkill", pid, pid, 23),
        "rt_sigqueueinfo": call("rt_sigqueueinfo", pid, 23, queued),
        "setpgid": call("setpgid", pid, pid),
    }
"""


@pytest.mark.parametrize("engine", ["template", "cold"])
def test_a_branch_sets_nothing_of_another(engine: str) -> None:
    with belljar.Sandbox(ledger="none", branches=3, engine=engine, **CTYPES) as box:
        box.run(SETTLES)
        one, two = box.fork(), box.fork()
        look = "os.sched_getaffinity(0), os.getpgrp(), __import__('resource').getrlimit(7)"
        others = box, two
        before = [each.eval(look) for each in others]
        for each in others:
            done = one.call("settle", each.eval("os.getpid()"))
            assert all(done.values()), done
        assert 0 not in one.call("settle", 1).values()  # init
        assert [each.eval(look) for each in others] == before
        own = one.run("""
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
len(os.sched_getaffinity(0)), len(os.sched_getaffinity(os.getpid()))
""")
        assert own.value == (1, 1), own  # of itself it may
