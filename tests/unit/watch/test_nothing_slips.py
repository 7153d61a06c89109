"""Nothing slips past quietly: wherever and whenever Python runs, it is in the record, whole."""

from __future__ import annotations

import glob
import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from belljar.events.decode import BYE, HELLO, decode, decode_bye, decode_hello
from belljar.watch.attach import environment
from belljar.watch.collect import Collector

MARK = "import sys; sys.audit('mark', {!r})"


class Recorded:
    """What one program did, by process."""

    def __init__(self) -> None:
        self.status = 0
        self.err = ""
        self.pid = 0
        self.hellos: list[Any] = []
        self.byes: list[Any] = []
        self.events: list[Any] = []
        self.findings: list[Any] = []

    def names(self) -> list[str]:
        return [event.name for event in self.events]

    def marks(self) -> list[Any]:
        return [event.args[0] for event in self.events if event.name == "mark"]

    def kinds(self) -> set[str]:
        return {finding.kind for finding in self.findings}

    def told(self, name: str, text: str) -> bool:
        return any(e.name == name and text in repr(e.args) for e in self.events)

    def take(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            frame = data[at : at + int.from_bytes(data[at + 2 : at + 4], "little")]
            if frame[4] == HELLO:
                self.hellos.append(decode_hello(frame))
            elif frame[4] == BYE:
                self.byes.append(decode_bye(frame))
            else:
                self.events.append(decode(frame))
            at += len(frame)


def record(source: str, *options: str, python: str = sys.executable) -> Recorded:
    found = Recorded()
    with Collector() as collector:
        env = environment({"PATH": "/usr/bin:/bin"}, collector.path, page=collector.page)
        child = subprocess.Popen(
            [python, "-I", *options, "-c", source], env=env,
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        chunks = []
        deadline = time.monotonic() + 60
        while child.poll() is None and time.monotonic() < deadline:
            chunks += collector.drain()
            time.sleep(0.002)
        found.err = child.communicate(timeout=10)[1]
        while more := collector.drain(idle=True):
            chunks += more
        for chunk in chunks:
            found.take(chunk.data)
        found.status, found.pid = child.returncode, child.pid
        found.findings = collector.finish()
    return found


def whole(found: Recorded) -> bool:
    """Does every process count from 1 without a gap?"""
    for process in {event.pid for event in found.events}:
        numbers = [event.seq for event in found.events if event.pid == process]
        if numbers != list(range(1, len(numbers) + 1)):
            return False
    return True


def others() -> list[str]:
    """One interpreter of each other version at hand, the oldest and the newest."""
    paths = glob.glob(os.path.expanduser("~/.pyenv/versions/3.*/bin/python3.*"))
    minors_of = [path.rpartition("python3.")[2] for path in paths]
    by_minor = {int(m): path for m, path in zip(minors_of, paths, strict=True) if m.isdigit()}
    minors = sorted(minor for minor in by_minor if minor >= 8)
    return [by_minor[minor] for minor in dict.fromkeys((*minors[:1], *minors[-1:]))]


def test_what_comes_before_the_interpreter_is_ready_is_recorded():
    found = record("pass", "-S")
    assert found.names().index("import") < found.names().index("cpython.run_command")
    assert len(found.events) > 20
    assert whole(found)
    assert found.findings == []


def test_every_thread_is_recorded():
    source = (
        "import sys, threading, _thread, time\n"
        "def work(n): sys.audit('mark', n)\n"
        "all = [threading.Thread(target=work, args=(n,)) for n in range(8)]\n"
        "[t.start() for t in all]; [t.join() for t in all]\n"
        "_thread.start_new_thread(work, (8,)); time.sleep(0.2)\n"
    )
    found = record(source)
    assert sorted(found.marks()) == list(range(9))
    marks = [event for event in found.events if event.name == "mark"]
    assert found.pid not in {event.thread for event in marks}
    assert whole(found)
    assert found.findings == []


INTERPRETERS = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"


@pytest.mark.parametrize("isolated", ["False", "True"])
def test_subinterpreters_are_recorded_one_with_its_own_lock_too(isolated):
    if sys.version_info >= (3, 13):
        create = f"i.create({'isolated' if isolated == 'True' else 'legacy'!r})"
    else:  # 3.12: an isolated one has a lock of its own
        create = f"i.create(isolated={isolated})"
    source = (
        f"import sys, threading, {INTERPRETERS} as i\n"
        "def work(n):\n"
        f"    one = {create}\n"
        "    i.run_string(one, f\"import sys\\nfor k in range(50): sys.audit('mark', {n})\")\n"
        "    i.destroy(one)\n"
        "all = [threading.Thread(target=work, args=(n,)) for n in range(3)]\n"
        "[t.start() for t in all]; [t.join() for t in all]\n"
    )
    found = record(source, "-S")
    assert found.status == 0, found.err
    assert sorted(found.marks()) == sorted([0, 1, 2] * 50)
    assert whole(found)
    assert found.findings == []


def test_forks_of_every_kind_are_processes_of_their_own():
    source = (
        "import ctypes, os, sys\n"
        "lib = ctypes.CDLL(None)\n"
        "forks = [os.fork, lib.fork]\n"
        "forks += [lib._Fork] if hasattr(lib, '_Fork') else []\n"
        "forks += [lambda: lib.syscall(57)] if os.uname().machine == 'x86_64' else []\n"
        "for n, fork in enumerate(forks):\n"
        "    child = fork()\n"
        "    if not child: sys.audit('mark', n); os._exit(0)\n"
        "    os.waitpid(child, 0)\n"
        "sys.audit('mark', 'end')\n"
    )
    found = record(source, "-S")
    assert found.status == 0, found.err
    count = len(found.hellos) - 1
    assert count >= 2
    assert found.marks() == [*range(count), "end"]
    assert [h.forked for h in found.hellos] == [False] + [True] * count
    assert len({h.header.pid for h in found.hellos}) == count + 1
    assert whole(found)
    assert found.findings == []


def test_a_copy_that_only_ends_or_executes_is_a_process_too():
    source = (
        "import ctypes, os, sys\n"
        "lib = ctypes.CDLL(None)\n"
        "if not (child := lib.syscall(57)): os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "if not (child := lib.syscall(57)): os.execv('/bin/true', ['true'])\n"
        "os.waitpid(child, 0)\n"
    )
    if os.uname().machine == "x86_64":
        found = record(source, "-S")
        assert [h.forked for h in found.hellos] == [False, True, True]
        assert found.findings == []


@pytest.mark.parametrize("other", others())
def test_children_of_other_versions_with_an_empty_environment_are_recorded(other):
    source = (
        "import os, subprocess, sys\n"
        "argv = lambda n: [" + repr(other) + ", '-I', '-S', '-c', " + repr(MARK) + ".format(n)]\n"
        "subprocess.run(argv('run'), env={}, check=True)\n"
        "subprocess.run(argv('fork'), env={}, check=True, preexec_fn=lambda: None)\n"
        "os.waitpid(os.posix_spawn(argv('spawn')[0], argv('spawn'), {}), 0)\n"
        "os.execve(argv('exec')[0], argv('exec'), {})\n"
    )
    found = record(source)
    assert found.status == 0, found.err
    assert found.marks() == ["run", "fork", "spawn", "exec"]
    assert found.findings == []


def test_the_end_is_recorded_down_to_the_last_event():
    source = (
        "import atexit, sys\n"
        "class Late:\n"
        "    def __del__(self, audit=sys.audit): audit('mark', 'finalising')\n"
        "late = Late(); sys.late = late\n"
        "atexit.register(sys.audit, 'mark', 'atexit')\n"
    )
    found = record(source, "-S")
    assert found.marks() == ["atexit", "finalising"]
    assert found.names()[-1] == "cpython._PySys_ClearAuditHooks"
    assert found.findings == []


@pytest.mark.parametrize(
    ("deed", "number"),
    [
        ("os.abort()", signal.SIGABRT),
        ("ctypes.string_at(8)", signal.SIGSEGV),
        ("__import__('faulthandler')._sigsegv()", signal.SIGSEGV),
        ("os.kill(os.getpid(), 9)", signal.SIGKILL),
        ("ctypes.CDLL(None).syscall(231, 0)", 0),  # exit_group, past every farewell
    ],
)
def test_what_comes_right_before_a_crash_is_recorded_and_the_end_is_a_finding(deed, number):
    source = f"import ctypes, os, sys\nsys.audit('mark', 'last')\n{deed}\n"
    if number == 0 and os.uname().machine != "x86_64":
        return
    found = record(source, "-S")
    assert found.status == -number
    assert found.marks() == ["last"]
    assert [(f.kind, f.pid, f.first) for f in found.findings] == [
        ("vanished", found.pid, found.events[-1].seq)
    ]


def test_the_program_cannot_take_the_record_down_with_it():
    source = (
        "import gc, os, sys\n"
        "audit, osclose, closerange, dup2 = sys.audit, os.close, os.closerange, os.dup2\n"
        "audit('mark', 1)\n"
        "try:\n"
        "    raise SystemExit\n"
        "except BaseException: audit('mark', 2)\n"
        "os.write = os.open = print = None; audit('mark', 3)\n"
        "for fd in range(3, 5000):\n"
        "    try: osclose(fd)\n"
        "    except OSError: pass\n"
        "audit('mark', 4)\n"
        "closerange(3, 5000); audit('mark', 5)\n"
        "for fd in range(3, 1100):\n"
        "    try: dup2(1, fd)\n"
        "    except OSError: pass\n"
        "audit('mark', 6)\n"
        "for thing in gc.get_objects():\n"
        "    if type(thing) is type(lambda: 0) and thing.__name__ == 'hook': del thing.__code__\n"
        "audit('mark', 7)\n"
        "sys.modules.clear(); gc.collect(); audit('mark', 8)\n"
    )
    found = record(source, "-S")
    assert found.marks() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert whole(found)
    assert found.findings == []


ZERO = (
    "import ctypes, os, sys\n"
    "base = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, '_PyRuntime'))\n"
    "maps = [l.split() for l in open('/proc/self/maps')]\n"
    "spans = [[int(x, 16) for x in w[0].split('-')] + [w] for w in maps]\n"
    "ours = [s for s in spans if 'belljar-recorder' in s[2][-1]]\n"
    "good = [s for s in spans if s[2][1].startswith('rw')]\n"
    "word = lambda at: ctypes.c_size_t.from_address(at)\n"
    "def is_list(at):\n"
    "    e = word(at).value\n"
    "    inside = e % 8 == 0 and any(s[0] <= e < s[1] - 24 for s in good)\n"
    "    return inside and ours[0][0] <= word(e + 8).value < ours[-1][1]\n"
    "at = next(a for a in range(base, base + 65536, 8) if is_list(a))\n"
    "entry = word(at).value\n"
)


@pytest.mark.parametrize(
    ("silence", "deed", "told"),
    [
        ("word(at).value = 0", "open('/etc/hostname')", ("belljar.open", "/etc/hostname")),
        ("word(at).value = 0", "os.system('true')", ("belljar.exec", "true")),
        ("word(at).value = 0", "os.posix_spawn('/bin/true', ['true'], {})", ("belljar.exec", "tr")),
        ("word(at).value = 0", "os.mkdir('/')", None),
        ("word(at).value = 0", "os.fork() or os._exit(0); os.wait()", None),
        ("word(at).value = 0", "os._exit(0)", None),
        ("word(at).value = 0", "pass", None),
        ("word(entry + 8).value = ctypes.cast(ctypes.pythonapi.Py_IsInitialized,\n"
         "    ctypes.c_void_p).value", "pass", None),
    ],
)  # fmt: skip
def test_a_silenced_hook_is_a_finding_at_the_next_deed(silence, deed, told):
    source = f"{ZERO}sys.audit('mark', 1)\n{silence}\ntry: {deed}\nexcept OSError: pass\n"
    found = record(source, "-S")
    assert found.marks() == [1]
    silenced = [f for f in found.findings if f.kind == "silenced" and f.pid == found.pid]
    names = found.names()
    assert names.count("belljar.silenced") >= 1
    assert silenced
    assert silenced[0].first == found.events[names.index("belljar.silenced")].seq
    assert "is not heard any more" in str(silenced[0])
    if told is not None:
        assert found.told(*told)
        assert names.index("belljar.silenced") < names.index(told[0])
    assert found.kinds() == {"silenced"}
    assert whole(found)


def test_a_hook_whose_code_was_overwritten_is_found_out_at_the_end():
    source = (
        ZERO + "place = word(entry + 8).value\n"
        "code = b'\\x31\\xc0\\xc3' if os.uname().machine == 'x86_64' else "
        "b'\\x00\\x00\\x80\\x52\\xc0\\x03\\x5f\\xd6'\n"  # return 0
        "mem = os.open('/proc/self/mem', os.O_RDWR)\n"
        "os.pwrite(mem, code, place)\n"
        "sys.audit('mark', 'unheard')\n"
    )
    found = record(source, "-S")
    assert found.marks() == []
    assert found.kinds() == {"silenced"}
    assert "did not hear" in found.events[-1].args[0]


def test_another_hook_beside_ours_is_no_silence():
    source = (
        "import os, sys\n"
        "sys.addaudithook(lambda *_: None)\n"
        "open('/etc/hostname').close(); os.system('true'); os.fork() or os._exit(0)\n"
    )
    found = record(source, "-S")
    assert found.findings == []
    assert "belljar.silenced" not in found.names()


@pytest.mark.parametrize("python", [sys.executable, *others()])
@pytest.mark.parametrize("option", ["--version", "-h", "-Xnothing", "--nonsense"])
def test_an_interpreter_that_never_began_is_not_silenced(option, python):
    found = record("pass", option, python=python)
    assert found.findings == []


@pytest.mark.parametrize("python", [sys.executable, *others()])
def test_what_is_announced_is_not_told_twice(python):
    source = (
        "import os, subprocess, sys, tempfile, shutil, json, socket, glob, io, zipfile\n"
        "open('/etc/hostname').close(); os.close(os.open('/etc/passwd', 0))\n"
        "io.open_code('/etc/hostname').close(); io.FileIO('/etc/hostname').close()\n"
        "os.close(os.open('hostname', 0, dir_fd=os.open('/etc', 0)))\n"
        "tempfile.TemporaryFile().close(); tempfile.NamedTemporaryFile().close()\n"
        "with tempfile.TemporaryDirectory() as d:\n"
        "    shutil.copy('/etc/hostname', d); glob.glob(d + '/*'); os.listdir(d)\n"
        "    z = zipfile.ZipFile(d + '/z.zip', 'w'); z.writestr('m.py', 'x = 1'); z.close()\n"
        "    sys.path.insert(0, d + '/z.zip'); import m\n"
        "for more in ({}, {'close_fds': False}, {'preexec_fn': int}, {'cwd': '/'}):\n"
        "    subprocess.run(['true'], check=True, env={'PATH': '/nowhere:/usr/bin:/bin'}, **more)\n"
        "os.system('true'); os.popen('true').read(); subprocess.run('true', shell=True)\n"
        "os.waitpid(os.posix_spawnp('true', ['true'], os.environ), 0)\n"
        "os.waitpid(os.spawnlp(os.P_NOWAIT, 'true', 'true'), 0)\n"
        "try: open('/nonexistent')\n"
        "except OSError: pass\n"
        "os.fork() or os.execlp('true', 'true'); os.wait()\n"
    )
    found = record(source, python=python)
    assert found.status == 0, found.err
    assert [e.args for e in found.events if e.name in ("belljar.open", "belljar.exec")] == []
    assert found.findings == []


def test_what_c_libraries_open_and_start_is_told():
    source = (
        "import ctypes, os, sqlite3, ssl, sys, tempfile\n"
        "d = tempfile.mkdtemp(); os.chdir(d)\n"
        "base = sqlite3.connect(':memory:')\n"
        "base.execute('ATTACH ? AS other', (d + '/attached',))\n"
        "base.execute('CREATE TABLE other.t (x)')\n"
        "try: ssl.SSLContext().load_verify_locations('/etc/hostname')\n"
        "except ssl.SSLError: pass\n"
        "lib = ctypes.CDLL(None)\n"
        "lib.open(b'/etc/passwd', 0); lib.fopen(b'/etc/group', b'r'); lib.open(b'here', 65, 384)\n"
        "lib.system(b'exit 0')\n"
        "argv = (ctypes.c_char_p * 3)(b'true', b'x', None)\n"
        "pid = ctypes.c_int()\n"
        "lib.posix_spawn(ctypes.byref(pid), b'/bin/true', None, None, argv, None)\n"
        "os.waitpid(pid.value, 0)\n"
        "lib.execv(b'/bin/true', argv)\n"
    )
    found = record(source)
    assert found.status == 0, found.err
    opened = {e.target for e in found.events if e.name == "belljar.open"}
    assert {"/etc/hostname", "/etc/passwd", "/etc/group"} <= opened
    assert {os.path.basename(str(t)) for t in opened} >= {"attached", "attached-journal", "here"}
    started = [(e.target, e.right, e.args[1]) for e in found.events if e.name == "belljar.exec"]
    assert started == [
        ("/bin/sh", "run", ("sh", "-c", "exit 0")),
        ("/bin/true", "run", ("true", "x")),
        ("/bin/true", "run", ("true", "x")),
    ]
    assert found.findings == []
