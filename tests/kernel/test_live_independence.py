"""Guests of one template share nothing that one of them can change; what they do share is stated.

Each pair lives at the same time. The first does what it can, by native code too; the second looks
for all of it under the same names, and finds nothing. That looking finds what is there is tried in
the first. `BELLJAR_LONG=1` makes it hundreds of pairs.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from forking import family

import belljar
from belljar.errors import TemplateError

LONG = os.environ.get("BELLJAR_LONG") == "1"
PAIRS = 200 if LONG else 24
pytestmark = pytest.mark.timeout(6000 if LONG else 120)
SETUP = """
import random, ssl, sys, tempfile, uuid
random.random(), ssl.RAND_bytes(9), tempfile.mktemp(), uuid.uuid4(), uuid.getnode()
kept = sys.modules["kept"] = type(sys)("kept")
kept.text = bytearray(b"original")
"""
MODULES = ["ctypes", "random", "tempfile", "uuid", "ssl", "secrets", "multiprocessing", "json"]

BOTH = """
import ctypes, fcntl, json, kept, os, socket, sys

libc = ctypes.CDLL(None, use_errno=True)
for name in ("sem_open", "shm_open"):
    getattr(libc, name).restype = ctypes.c_void_p if name == "sem_open" else ctypes.c_int
held = []

def native(name, *args):
    found = getattr(libc, name)(*args)
    if found in (None, -1):
        raise OSError(ctypes.get_errno(), name)
    return found

def text_at():
    return ctypes.addressof(ctypes.c_char.from_buffer(kept.text))

def touch(path):
    with open(path, "w") as file:
        file.write("x")

def there(path):
    os.stat(path)

def seen(value):
    if not value:
        raise OSError(2, "not seen")

def server(family, kind, address):
    one = socket.socket(family, kind)
    held.append(one)
    one.bind(address)
    if kind == socket.SOCK_STREAM:
        one.listen()

def client(family, kind, address):
    with socket.socket(family, kind) as one:
        one.settimeout(5)
        one.connect(address)
        if kind == socket.SOCK_DGRAM:  # a refusal comes back, if nobody is there
            one.send(b"x")
            one.send(b"x")

def tried(mark, number, doing):
    create = 0o1600 if doing else 0
    unix, tcp = socket.AF_UNIX, socket.AF_INET
    stream, datagram = socket.SOCK_STREAM, socket.SOCK_DGRAM
    where = server if doing else client
    name = mark.encode()
    lock = "/tmp/lock" + mark
    def change():
        sys.modules["json"].mark = os.environ["MARK"] = mark
        sys.path.append(mark)
    def locked():
        if not doing:
            return there(lock)
        touch(lock)
        held.append(open(lock, "r+"))
        fcntl.lockf(held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
    return {
        "a temporary file": lambda: (touch if doing else there)("/tmp/" + mark),
        "a file of /dev/shm": lambda: (touch if doing else there)("/dev/shm/" + mark),
        "an abstract socket": lambda: where(unix, stream, "\\0" + mark),
        "a socket with a name": lambda: where(unix, stream, "/tmp/s" + mark),
        "a loopback port": lambda: where(tcp, stream, ("127.0.0.1", number)),
        "a loopback datagram port": lambda: where(tcp, datagram, ("127.0.0.1", number)),
        "System V memory": lambda: native("shmget", number, 4096, create),
        "a System V semaphore": lambda: native("semget", number, 1, create),
        "a System V queue": lambda: native("msgget", number, create),
        "POSIX memory": lambda: native("shm_open", b"/" + name, 0o102 if doing else 2, 0o600),
        "a POSIX semaphore": lambda: native("sem_open", b"/" + name, 0o100 if doing else 0,
                                            0o600, 1),
        "a POSIX queue": lambda: native("mq_open", b"/" + name, 0o102 if doing else 2, 0o600,
                                        None),
        "a key": lambda: native("syscall", 248, b"user", name, b"x", 1, -4) if doing
                 else native("syscall", 250, 10, -4, b"user", name, 0),
        "a lock": locked,
        "an attribute": lambda: change() if doing else seen(
            hasattr(sys.modules["json"], "mark") or "MARK" in os.environ or mark in sys.path),
        "memory by native code": lambda: ctypes.memset(text_at(), 77, 8) if doing
                                 else seen(kept.text != b"original"),
        "a mask": lambda: os.umask(0o12) if doing else seen(os.umask(0o12) == 0o12),
        "a priority": lambda: os.nice(3) if doing else seen(os.nice(0)),
        "a directory": lambda: os.chdir("/tmp") if doing else seen(os.getcwd() == "/tmp"),
    }

def outcome(mark, number, doing):
    found = {}
    for name, work in tried(mark, number, doing).items():
        try:
            work()
        except OSError as error:
            found[name] = error.errno
        else:
            found[name] = 0
    return found
"""
DRAWN = """
import json, numpy, random, secrets, ssl, tempfile, uuid
from multiprocessing import current_process
draws = [random.random(), random.SystemRandom().random(), secrets.token_hex(8),
         ssl.RAND_bytes(8).hex(), uuid.uuid4().hex, uuid.uuid1().hex, tempfile.mktemp(),
         uuid.getnode(), next(tempfile._get_candidate_names()),
         bytes(current_process().authkey).hex()]
draws += [float(numpy.random.random()), float(numpy.random.default_rng().random())]
draws
"""
#: What the first can do at all, whatever the policy: else the second would look for nothing.
ALWAYS = {
    "a temporary file", "a file of /dev/shm", "POSIX memory", "a POSIX semaphore", "a lock",
    "an attribute", "memory by native code", "a mask", "a directory",
}  # fmt: skip


@pytest.fixture(scope="module")
def template() -> Iterator[belljar.Template]:
    with belljar.Template(modules=[*MODULES, "numpy"], setup=SETUP, ready=0) as one:
        yield one


def born(template: belljar.Template) -> belljar.Sandbox:
    return belljar.Sandbox(template=template, ledger="none", extensions="all", cpu=60, wall=600)


def test_pairs_share_no_writable_state_and_draw_nothing_that_is_the_same(
    template: belljar.Template,
) -> None:
    drawn: list[Any] = []
    done: dict[str, int] = {}
    template.start()
    for _ in range(PAIRS):
        mark, number = secrets.token_hex(8), secrets.randbelow(20_000) + 20_000
        before = set(family(template.warmed.pid))
        with born(template) as first:
            mine = max(set(family(template.warmed.pid)) - before)
            with born(template) as second:
                for box in (first, second):
                    box.run(BOTH, check=True)
                    drawn.append(box.run(DRAWN).check().value)
                done = first.call("outcome", mark, number, True)
                found = second.call("outcome", mark, number, False)
                assert not [name for name, error in found.items() if error == 0]
                # and what is looked for, is there to be found by the first
                own = first.call("outcome", mark, number, False)
                assert {name for name, error in own.items() if error == 0} == {
                    name for name, error in done.items() if error == 0
                }
                # signals reach nobody else, whatever number it goes by
                kill = "import os, signal\nfor pid in (-1, PID):\n    try: os.kill(pid, 9)\n"
                second.run(kill.replace("PID", str(mine)) + "    except OSError: pass")
                assert first.eval("1 + 1") == 2
    assert {name for name, error in done.items() if error == 0} >= ALWAYS
    for column in zip(*drawn, strict=True):
        assert len(set(column)) == len(column), column[:3]


def test_what_is_shared_is_what_is_said(template: belljar.Template) -> None:
    """Address layout and hash secret (docs/template.md), and no more than that is promised."""
    with born(template) as first, born(template) as second:
        for source in ("hash('belljar')", "id(type)", "id(__import__('kept').text)"):
            assert first.eval(source) == second.eval(source)
        row = next(row for row in first.status.protections if row.name == "processes")
        assert row.level == "full"
        assert "address layout, hash secret and locks" in row.reason
    with belljar.Sandbox(ledger="none", engine="cold") as other:
        assert other.eval("hash('belljar')") != hash("belljar")
        assert not any("hash secret" in row.reason for row in other.status.protections)


def test_locks_on_files_of_the_runtime_are_seen_by_those_who_have_that_file(
    template: belljar.Template,
) -> None:
    """Advisory locks belong to the file, and the runtime's are the same ones (docs/template.md)."""
    lock = (
        "import fcntl\nkept = open(__import__('os').__file__)\n"
        "try: fcntl.flock(kept, fcntl.LOCK_EX | fcntl.LOCK_NB); got = True\n"
        "except OSError: got = False\ngot"
    )
    with born(template) as first, born(template) as second:
        assert first.run(lock).value is True
        assert second.run(lock).value is False


@pytest.mark.parametrize(
    "setup",
    [
        "import mmap, sys; sys.kept = mmap.mmap(-1, 4096)",
        "import multiprocessing, sys; sys.kept = multiprocessing.Value('i')",
        "import multiprocessing, sys; sys.kept = multiprocessing.Lock()",
    ],
    ids=["mmap", "Value", "Lock"],
)
def test_memory_that_all_guests_would_write_to_is_refused(setup: str) -> None:
    one = belljar.Template(modules=["multiprocessing"], setup=setup, ready=0)
    with pytest.raises(TemplateError, match="shared memory"):
        one.start()
    one.close()


ROW = """
import gc, json, os, sys, time
import belljar

def family(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        children = file.read().split()
    return [pid, *(one for child in children for one in family(int(child)))]

def left():
    # pages of the template are its own again when its last guest has ended
    until = time.monotonic() + 60
    while len(family(template.warmed.pid)) > 3 and time.monotonic() < until:
        time.sleep(0.01)
    gc.collect()
    memory = 0
    for pid in (os.getpid(), family(template.warmed.pid)[-1]):
        with open(f"/proc/{pid}/smaps_rollup") as file:
            memory += sum(int(x.split()[1]) for x in file if x.startswith("Private_Dirty:"))
    return len(os.listdir("/proc/self/fd")), len(family(template.warmed.pid)), memory

def row(count):
    for number in range(count):
        with belljar.Sandbox(template=template, ledger="none") as box:
            assert box.call("len", "x" * (number % 1000)) == number % 1000

with belljar.Template(modules=["json"], ready=0) as template:
    row(int(sys.argv[1]))  # caches fill, and the allocator takes what it needs
    before = left()
    row(int(sys.argv[2]))
    print(json.dumps([before, left()]))
"""


def test_many_guests_in_a_row_leave_nothing() -> None:
    # in a process of its own: what pytest keeps is not ours
    counts = ("600", "2000") if LONG else ("30", "40")
    done = subprocess.run(
        [sys.executable, "-c", ROW, *counts], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    before, after = json.loads(done.stdout)
    assert after[0] <= before[0]
    assert after[1] <= before[1]
    assert after[2] - before[2] < 1024  # KiB
