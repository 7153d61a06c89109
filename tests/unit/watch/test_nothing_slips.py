"""Nothing slips past quietly: wherever and whenever Python runs, it is in the record, whole."""

from __future__ import annotations

import os
import resource
import signal
import sys

import pytest
from recorded import others, record, whole

MARK = "import sys; sys.audit('mark', {!r})"


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


@pytest.mark.parametrize("limit", [300, 1024, 4096])  # 1024 is what most shells give
def test_the_program_cannot_take_the_record_down_with_it(limit):
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
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        found = record(source, "-S")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert found.marks() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert whole(found)
    assert found.findings == []
