"""`belljar.guest.narrow` in programs of `belljar run`, without a bridge, in every tier."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from nets import Echo, run
from test_narrow import CONNECT, HELP
from tiers import Tier

FILES = """
import json, os, stat, sys
A, B, OUT = sys.argv[1:4]
for fd in range(3, 20):  # newer libffi, which `native` is made with, keeps its own file open
    try:
        stat.S_ISREG(os.fstat(fd).st_mode) and os.close(fd)
    except OSError:
        pass
def tries(n):
    return [native("open", A, 0), native("open", B, 0),
            native("open", OUT + "/g%d" % n, 0o101, 0o600),
            native("mkdir", OUT + "/d%d" % n, 0o700), native("rename", B, B)]
told = [tries(1)]
rows = narrow(read=[A], open_files=30)
told.append(tries(2))
told.append(said(lambda: narrow(read=[B])).split(":")[0])
told.append(said(lambda: narrow(wall=1)))
told.append(native("setrlimit", 7, (ctypes.c_ulong * 2)(64, 64)))
import decimal, tempfile
tempfile.TemporaryFile().close()
print(json.dumps([told, {key: row[0] for key, row in rows.items()}]))
"""


@pytest.fixture
def data(tier: Tier) -> Path:
    folder = tier.home / "data"
    for path in (folder, folder / "out"):
        path.mkdir(exist_ok=True)
        tier.own(path)
    for name in ("a", "b"):
        (folder / name).write_text(name, "utf-8")
        tier.own(folder / name)
    return folder


def test_files_and_limits_are_given_up_in_every_tier(tier: Tier, data: Path) -> None:
    names = "hidden" if tier.name == "user" else "visible"
    grants = ["--read", str(data), "--write", str(data / "out"), "--extensions", "all"]
    ran = run(
        tier, [*grants, "--names", names], HELP + FILES,
        str(data / "a"), str(data / "b"), str(data / "out"),
    )  # fmt: skip
    assert ran.status == 0, ran.err
    told, rows = json.loads(ran.out)
    assert told[0][:4] == ["ok"] * 4
    assert told[1] == ["ok"] + ["EACCES"] * 4
    assert told[2] == "PermissionError"
    assert told[3].startswith("RuntimeError: wall cannot be narrowed here")
    assert told[4] == "EPERM"
    assert rows == {"read": "full", "write": "full", "names": "none", "open-files": "full"}


def test_a_thread_keeps_it_from_anything_in_every_tier(tier: Tier) -> None:
    code = (
        HELP
        + """
import threading
stop = threading.Event()
threading.Thread(target=stop.wait, daemon=True).start()
print(said(narrow))
"""
    )
    ran = run(tier, ["--extensions", "all"], code)
    assert ran.out.startswith("RuntimeError: other threads run"), ran.err


def test_addresses_are_given_up_without_a_bridge(tier: Tier) -> None:
    code = (
        HELP
        + CONNECT
        + """
import json, sys
first, second = map(int, sys.argv[1:])
tries = lambda: [connect(first), connect(second)]
told = [tries()]
narrow(connect=["127.0.0.1:%d" % second]); told.append(tries())
narrow(); told.append(tries())
print(json.dumps(told))
"""
    )
    with Echo() as one, Echo() as two:
        ports = [str(one.port), str(two.port)]
        flags = [w for port in ports for w in ("--connect", f"127.0.0.1:{port}")]
        ran = run(tier, [*flags, "--extensions", "all"], code, *ports)
    assert ran.status == 0, ran.err
    assert json.loads(ran.out) == [["ok", "ok"], ["EACCES", "ok"], ["no socket", "no socket"]]


def test_processor_time_is_the_kernels_to_count(where: Tier) -> None:
    code = (
        "import belljar.guest\nprint(belljar.guest.narrow(cpu=1)['cpu'][1], flush=True)\nwhile 1: 1"
    )
    ran = run(where, ["--cpu", "50"], code)
    assert ran.out == "RLIMIT_CPU\n"
    assert ran.result["ended-by"] == "cpu"


def test_belljar_itself_may_be_among_the_modules(where: Tier) -> None:
    folder = where.home / "modules"
    folder.mkdir()
    (folder / "belljar.py").write_text("mine = 1\n__path__ = []\n")
    code = (
        "import sys\nsys.path.insert(0, sys.argv[1])\nimport belljar, belljar.guest as inside\n"
        "print(belljar.mine, callable(inside.narrow))"
    )
    ran = run(where, ["--read", str(folder)], code, str(folder))
    assert ran.out == "1 True\n", ran.err


#: Only where the recorder listens is this event answered.
RECORDED = """
import sys
try:
    sys.audit("belljar.layer", b"", None)
    print("nobody listens")
except OSError:
    print("recorded")
"""


def test_no_words_keep_the_recorder_out_of_a_program(where: Tier) -> None:
    code = f"""
import os, sys
python = sys.argv[1]
folders = ("/usr", "/lib", "/lib64", "/bin", "/etc", "/dev", "/python",
           os.path.dirname(os.path.dirname(python)))
words = "".join("soft\\0%s\\0rlx\\0" % path for path in folders)
sys.audit("belljar.layer", words.encode(), ("kept", "how"))
os.execv(python, [python, "-I", "-S", "-c", {RECORDED!r}])
"""
    python = os.path.realpath(where.python)
    ran = run(where, ["--run", python, "--processes", "2"], code, python)
    assert (ran.status, ran.out, ran.err) == (0, "recorded\n", "")


def test_a_program_that_cannot_be_recorded_is_not_started(where: Tier) -> None:
    code = """
import ctypes, os, subprocess, sys
python = sys.argv[1]
words = [python, "-I", "-S", "-c", "print('started')"]
deeds = (lambda: subprocess.run(words), lambda: os.posix_spawn(python, words, {}),
         lambda: os.execv(python, words), lambda: os.execve(python, words, {}))
libc = ctypes.CDLL(None, use_errno=True)
reads = ctypes.c_uint64(1 << 2)  # LANDLOCK_ACCESS_FS_READ_FILE
layer = libc.syscall(444, ctypes.byref(reads), ctypes.c_size_t(8), 0)
for path in ("/usr", "/lib", "/lib64", "/bin", "/etc", "/dev", "/python",
             os.path.dirname(os.path.dirname(python))):
    fd = libc.open(path.encode(), os.O_PATH | os.O_CLOEXEC)
    rule = reads.value.to_bytes(8, sys.byteorder) + fd.to_bytes(4, sys.byteorder, signed=True)
    assert fd < 0 or libc.syscall(445, layer, 1, rule, 0) == 0, ctypes.get_errno()
assert layer >= 0 and libc.syscall(446, layer, 0) == 0, ctypes.get_errno()
for deed in deeds:
    try:
        deed()
        print("no error", flush=True)
    except PermissionError:
        print("refused", flush=True)
"""
    python = os.path.realpath(where.python)
    grants = ["--run", python, "--processes", "2", "--extensions", "all"]
    ran = run(where, grants, code, python)
    assert (ran.status, ran.out) == (0, "refused\n" * 4), ran.err
