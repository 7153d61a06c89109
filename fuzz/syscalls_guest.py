"""Inside the sandbox: random system calls with random arguments, for as long as it lives.

Where it may fork, a child makes the calls, so that one that ends itself ends no more than that.
Arguments are numbers that mean something (descriptors, flags, process ids, addresses of paths and
of structures with more of the same in them), for noise alone gets no further than the first check.
"""

import ctypes
import json
import mmap
import os
import random
import signal
import sys
import time

FACTS = json.loads(sys.argv[1])
dice = random.Random(FACTS["seed"])  # noqa: S311 (a fuzzer's, and repeatable)
libc = ctypes.CDLL(None)
libc.syscall.argtypes = [ctypes.c_ulong] * 7
libc.syscall.restype = ctypes.c_long
X86 = os.uname().machine == "x86_64"
#: they end or stop the caller: seldom, for else little else would be tried
ENDING = {60, 231, 34, 15, 13, 14, 62, 200, 234} if X86 else {93, 94, 139, 134, 135, 129, 130, 131}
HIGHEST = 470

PATHS = [
    *FACTS["paths"], "/", ".", "..", "/proc/self/mem", "/proc/1/root", "/dev/null", "/etc/passwd",
    "/sys/kernel", "/tmp/x", "/tmp/y", "../../../../etc/shadow", "", "/belljar/channel", "/dev/mem",
]  # fmt: skip
NUMBERS = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 31, 63, 64, 255, 4095, 4096, 65536, 1 << 20, 1 << 31,
    (1 << 32) - 1, (1 << 64) - 1, (1 << 64) - 100, 1 << 63,
    0o100, 0o1000, 0o4777, 0o2000000, 0o200000, 0o20200000,  # open(2), modes
    0x10000000, 0x20000, 0x40000000, 0x8000000, 0x7E020000, 0x00010000, 0x11, 0x100,  # clone(2)
    0x5412, 0x5413, 0x540E, 0x8912, 0x40086602, 0x5421,  # ioctl(2)
    22, 24, 36, 38, 4, 1, 1024, 1026, 1031, 8, 10, 15,  # prctl(2), fcntl(2)
    2, 10, 16, 17, 38, 40, 0x20000000, 0x80000, 0x800,  # sockets
    0x4206, 0x4208, 0x80, 0x9,
]  # fmt: skip
kept = [ctypes.create_string_buffer(os.fsencode(path) + b"\0") for path in PATHS]
ROOM = ctypes.create_string_buffer(1 << 16)
POINTERS = [ctypes.addressof(one) for one in kept]
POINTERS += [ctypes.addressof(ROOM) + at for at in (0, 64, 4096, 32768)] * 4


#: how many calls were made, for the host to read; shared with every child
with open(FACTS["count"], "r+b") as _file:
    COUNT = ctypes.c_ulong.from_buffer(mmap.mmap(_file.fileno(), 8))


def address():
    """Where a host listens, as the kernel wants it told."""
    port = FACTS["port"].to_bytes(2, "big")
    return b"\2\0" + port + b"\x7f\0\0\1" + bytes(8)


def scribble():
    """Structures: words that are numbers, pointers, process ids; an address now and then."""
    words = b"".join(argument().to_bytes(8, "little") for _ in range(16))
    ctypes.memmove(ctypes.addressof(ROOM), words, len(words))
    if dice.random() < 0.3:
        ctypes.memmove(ctypes.addressof(ROOM) + 64, address(), 16)


def argument():
    kind = dice.random()
    if kind < 0.35:
        return dice.choice(NUMBERS)
    if kind < 0.55:
        return dice.randrange(20)
    if kind < 0.85:
        return dice.choice(POINTERS)
    if kind < 0.93:
        return dice.choice(FACTS["pids"]) & ((1 << 64) - 1)
    if kind < 0.97:
        return dice.choice(NUMBERS) | dice.choice(NUMBERS)
    return dice.getrandbits(64)


def number():
    while True:
        n = dice.randrange(HIGHEST)
        if n not in ENDING or dice.random() < 0.01:
            return n


def calls(count):
    for turn in range(count):
        if not turn % 8:
            scribble()
        which = number()
        if dice.random() < 0.0005:
            which |= 0x40000000  # another convention
        COUNT.value += 1
        libc.syscall(which, *[argument() for _ in range(6)])


def alone(until):
    """Without fork: until something ends this process."""
    signal.setitimer(signal.ITIMER_REAL, 1.5)
    while time.monotonic() < until:
        calls(200)


def with_children(until):
    while time.monotonic() < until:
        dice.seed(dice.getrandbits(64))
        pid = os.fork()
        if pid == 0:
            signal.setitimer(signal.ITIMER_REAL, 0.03)
            try:
                calls(400)
            finally:
                os._exit(0)
        limit = time.monotonic() + 0.1
        while time.monotonic() < limit:
            gone, _ = os.waitpid(pid, os.WNOHANG)
            if gone:
                break
            time.sleep(0.0005)
        else:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        while True:  # what the child made of its own
            try:
                if not os.waitpid(-1, os.WNOHANG)[0]:
                    break
            except ChildProcessError:
                break


def main():
    until = time.monotonic() + FACTS["seconds"]
    try:
        (with_children if FACTS["fork"] else alone)(until)
    except Exception:  # noqa: BLE001 (what a random call broke)
        os._exit(3)


main()
