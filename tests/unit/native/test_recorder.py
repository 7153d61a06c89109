"""The recorder attaches to every CPython, follows every process, and touches nothing else."""

from __future__ import annotations

import os
import signal
import sys

MARK = "import sys; sys.audit('mark', 1)"


def test_it_attaches_to_this_interpreter_and_numbers_events(interpreter, record):
    found = record([interpreter, "-I", "-c", MARK + "; open('/etc/hostname').close()"])
    assert found.status == 0, found.err
    assert found.err == ""
    assert [len(found.hellos), len(found.byes)] == [1, 1]
    hello = found.hellos[0]
    assert hello.header.pid == found.pid
    assert hello.argv[:3] == (interpreter, "-I", "-c")
    assert hello.ppid == os.getpid()
    assert [event.seq for event in found.events] == list(range(1, len(found.events) + 1))
    opened = [e for e in found.named("open") if e.args[0] == "/etc/hostname"]
    assert opened[0].stack[0].file == "<string>"
    assert opened[0].stack[0].line == 1
    assert found.marks() == [1]
    assert found.findings == []


def test_a_program_that_is_not_python_is_left_alone(record):
    found = record(["/bin/bash", "-c", "echo hello; /bin/true"])
    assert (found.status, found.out, found.err) == (0, "hello\n", "")
    assert found.raw == []


def test_python_below_a_shell_is_recorded(record):
    found = record(["/bin/bash", "-c", f'"{sys.executable}" -I -S -c "{MARK}"; true'])
    assert found.marks() == [1]


def test_without_a_channel_nothing_happens(run_code):
    found = run_code(MARK, env={})
    assert found.marks() == [1]
    source = "import os; os.environ.pop('BELLJAR_CHANNEL'); os.execv('/bin/true', ['true'])"
    assert run_code(source).status == 0


def test_a_dead_collector_disables_the_recorder(run_code, tmp_path):
    fifo = tmp_path / "dead"
    os.mkfifo(fifo)
    source = (
        "import os, subprocess, sys\n"
        "env = dict(LD_PRELOAD=os.environ['LD_PRELOAD'])\n"
        f"env['BELLJAR_CHANNEL'] = {str(fifo)!r}\n"
        "pid = os.fork()\n"
        "print('alive', flush=True)\n"
        "os._exit(0) if not pid else os.waitpid(pid, 0)\n"
    )
    found = run_code(source)
    assert found.out == "alive\nalive\n"


def test_children_with_an_empty_environment_are_recorded(run_code):
    found = run_code(
        "import subprocess, sys, os\n"
        "code = 'import sys; sys.audit(\"mark\", sys.argv[1])'\n"
        "argv = [sys.executable, '-I', '-S', '-c', code]\n"
        "subprocess.run([*argv, 'popen'], env={}, check=True)\n"
        "subprocess.run([*argv, 'fork'], env={}, check=True, preexec_fn=lambda: None)\n"
        "os.waitpid(os.posix_spawn(argv[0], [*argv, 'spawn'], {}), 0)\n"
        "os.waitpid(os.posix_spawnp(argv[0], [*argv, 'spawnp'], {}), 0)\n"
        "os.environ.clear()\n"
        "os.system(' '.join(f\"'{word}'\" for word in [*argv, 'system']))\n"
        "os.execve(argv[0], [*argv, 'exec'], {})\n"
    )
    assert found.status == 0, found.err
    assert found.marks() == ["popen", "fork", "spawn", "spawnp", "system", "exec"]
    assert found.findings == []


def test_what_the_program_preloads_itself_stays_behind_ours(run_code):
    found = run_code(
        "import subprocess, sys, os\n"
        "code = 'import os; print(os.environ[\"LD_PRELOAD\"])'\n"
        "env = {'LD_PRELOAD': 'libm.so.6'}\n"
        "first = subprocess.check_output([sys.executable, '-I', '-c', code], env=env, text=True)\n"
        "env['LD_PRELOAD'] = first.strip()\n"
        "again = subprocess.check_output([sys.executable, '-I', '-c', code], env=env, text=True)\n"
        "assert first == again, (first, again)\n"
        "print(first, end='')\n"
    )
    ours, theirs = found.out.strip().split(":")
    assert ours.endswith("/libbelljar-recorder.so")
    assert theirs == "libm.so.6"


def test_a_fork_begins_a_new_numbering(run_code):
    found = run_code(
        "import os, sys\n"
        "pid = os.fork()\n"
        "sys.audit('mark', 'parent' if pid else 'child')\n"
        "os.waitpid(pid, 0) if pid else os._exit(0)\n"
    )
    forked = [hello for hello in found.hellos if hello.forked]
    assert len(forked) == 1
    assert forked[0].ppid == found.pid
    assert sorted(found.marks()) == ["child", "parent"]
    child = [event for event in found.events if event.pid == forked[0].header.pid]
    assert [event.seq for event in child] == [1]
    assert found.findings == []  # os._exit says goodbye, too


def test_threads_share_one_numbering_without_gaps(run_code):
    found = run_code(
        "import sys, threading\n"
        "def work():\n"
        "    for _ in range(200): sys.audit('mark', threading.get_native_id())\n"
        "threads = [threading.Thread(target=work) for _ in range(8)]\n"
        "for t in threads: t.start()\n"
        "for t in threads: t.join()\n"
    )
    assert found.findings == []
    marks = found.named("mark")
    assert len(marks) == 1600
    assert all(event.thread == event.args[0] for event in marks)
    assert len({event.thread for event in marks}) == 8


def test_a_crash_is_told_as_vanished(run_code):
    found = run_code("import os; os.kill(os.getpid(), 9)")
    assert found.status == -signal.SIGKILL
    assert [(f.kind, f.pid) for f in found.findings] == [("vanished", found.pid)]
    assert found.findings[0].first == found.events[-1].seq


def test_an_exec_closes_one_incarnation_and_opens_the_next(run_code):
    found = run_code(
        f"import os, sys; os.execv(sys.executable, [sys.executable, '-I', '-S', '-c', {MARK!r}])"
    )
    assert [h.header.pid for h in found.hellos] == [found.pid, found.pid]
    assert [h.forked for h in found.hellos] == [False, False]
    assert found.findings == []


def test_a_failed_exec_does_not_end_the_record(run_code):
    found = run_code(
        "import os, sys\n"
        "try: os.execv('/nonexistent', ['x'])\n"
        "except OSError: pass\n"
        "sys.audit('mark', 2)\n"
    )
    assert found.marks() == [2]
    assert found.findings == []


def test_closing_every_descriptor_is_survived(run_code):
    found = run_code(
        "import os, sys\n"
        "sys.audit('mark', 1)\n"
        "os.closerange(3, 5000)\n"
        "sys.audit('mark', 2)\n"
        "sys.audit('mark', 3)\n"
    )
    assert found.marks() == [1, 2, 3]
    assert found.findings == []


def test_the_record_cannot_be_silenced_through_the_descriptor(run_code):
    found = run_code(
        "import fcntl, os, sys\n"
        "ours = [int(n) for n in os.listdir('/proc/self/fd')][-1]\n"
        "null = os.open('/dev/null', os.O_WRONLY)\n"
        "def attempt(act, *args):\n"
        "    try: act(*args)\n"
        "    except OSError as e: print(e.errno)\n"
        "attempt(os.close, ours); sys.audit('mark', 1)\n"
        "os.closerange(ours, ours + 1); sys.audit('mark', 2)\n"
        "for number in range(900, 1024):\n"
        "    os.dup2(null, number, number % 2 == 0); sys.audit('mark', number)\n"
        "assert os.fstat(ours).st_rdev == os.fstat(null).st_rdev\n"
        "for number in range(1023, 900, -1): os.close(number)\n"
        "fcntl.fcntl([int(n) for n in os.listdir('/proc/self/fd')][-1], fcntl.F_SETFL, 0)\n"
        "sys.audit('mark', 3)\n"
    )
    assert found.status == 0, found.err
    assert found.out == "9\n"
    assert found.marks() == [1, 2, *range(900, 1024), 3]
    assert found.findings == []


def test_native_code_that_closes_the_descriptor_costs_nothing(run_code):
    found = run_code(
        "import ctypes, os, sys\n"
        "sys.audit('mark', 1)\n"
        "ctypes.CDLL(None).syscall(3, 1023)\n"  # close, past the C library's function
        "sys.audit('mark', 2)\n",
    )
    assert found.marks() == [1, 2]
    assert found.findings == []


def test_the_descriptor_stays_out_of_the_way(run_code):
    found = run_code(
        "import os, resource, sys\n"
        "print(sorted(int(n) for n in os.listdir('/proc/self/fd')))\n"
        "assert os.open('/dev/null', os.O_RDONLY) == 3\n"
    )
    assert found.status == 0, found.err
    assert found.out == "[0, 1, 2, 3, 1023]\n"


def test_few_descriptors_are_enough(record):
    shell = f'ulimit -n 64; exec "{sys.executable}" -I -S -c "{MARK}"'
    found = record(["/bin/bash", "-c", shell])
    assert found.marks() == [1]
    assert found.findings == []


def test_strict_python_does_not_start_unrecorded(run_code, tmp_path):
    found = run_code(
        "import subprocess, sys, os\n"
        "os.unlink(os.environ['BELLJAR_CHANNEL'])\n"
        "r = subprocess.run([sys.executable, '-c', 'print(1)'], capture_output=True, text=True)\n"
        "print(r.returncode, repr(r.stdout), repr(r.stderr))\n",
        strict=True,
    )
    assert found.out == "125 '' \"belljar: the record's channel cannot be opened\\n\"\n"


def test_every_subinterpreter_is_recorded(run_code):
    source = (
        "import sys\n"
        "try: import _interpreters as i\n"
        "except ImportError: import _xxsubinterpreters as i\n"
        "for n in range(3):\n"
        "    one = i.create()\n"
        "    i.run_string(one, f'import sys; sys.audit(\"mark\", {n})')\n"
        "    i.destroy(one)\n"
        "sys.audit('mark', 'end')\n"
    )
    found = run_code(source)
    assert found.status == 0, found.err
    assert found.marks() == [0, 1, 2, "end"]
    assert all(event.stack for event in found.named("mark"))


def test_a_pending_exception_survives_the_hook(run_code):
    found = run_code(
        "import sys\n"
        "class A:\n"
        "    def __del__(self): sys.audit('mark', 'del')\n"
        "def f():\n"
        "    a = A()\n"
        "    raise ValueError('kept')\n"
        "try: f()\n"
        "except ValueError as e: print(e)\n"
    )
    assert found.out == "kept\n"
    assert found.marks() == ["del"]


def test_busy_threads_do_not_speak_after_the_farewell(run_code):
    found = run_code(
        "import os, sys, threading, time\n"
        "def work():\n"
        "    while True: sys.audit('mark', 1)\n"
        "for _ in range(4): threading.Thread(target=work, daemon=True).start()\n"
        "time.sleep(0.02)\n"
        "os._exit(0)\n"
    )
    assert found.status == 0
    assert found.findings == []


def test_pools_of_processes_leave_a_whole_record(record, tmp_path):
    script = tmp_path / "pool.py"
    script.write_text(
        "import multiprocessing as mp, sys\n"
        "def work(n): sys.audit('mark', n)\n"
        "if __name__ == '__main__':\n"
        "    for how in ('fork', 'spawn', 'forkserver'):\n"
        "        with mp.get_context(how).Pool(2) as pool:\n"
        "            pool.map(work, range(4)); pool.close(); pool.join()\n"
    )
    found = record([sys.executable, str(script)])
    assert found.status == 0, found.err
    assert sorted(found.marks()) == sorted([0, 1, 2, 3] * 3)
    assert [f for f in found.findings if f.kind != "vanished"] == []


def test_an_environment_too_large_to_mend_is_refused(run_code):
    found = run_code(
        "import os\n"
        "env = {f'N{n}': '' for n in range(70_000)}\n"
        "for act in (os.execve, lambda *a: os.posix_spawn(*a)):\n"
        "    try: act('/bin/true', ['true'], env)\n"
        "    except OSError as e: print(e.errno)\n"
    )
    assert found.out == "7\n7\n"
