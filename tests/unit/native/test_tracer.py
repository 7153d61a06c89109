"""The tracer watches and changes nothing: streams, status, signals, and what its death means."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from belljar._native import TRACER
from belljar.events.syscalls import SYSCALL, decode_syscall

NOBODY = 65534


class Traced:
    """A program under the tracer, with the reading end of its channel."""

    def __init__(self, directory, *argv, tracer=TRACER, **options):
        self.path = str(directory / "channel")
        os.mkfifo(self.path, 0o666)
        os.chmod(self.path, 0o666)
        self._fd = os.open(self.path, os.O_RDWR)
        os.set_blocking(self._fd, False)
        self._data = b""
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        self.child = subprocess.Popen([tracer, self.path, "--", *argv], text=True, **options)

    def read(self):
        """Take what has come."""
        while True:
            try:
                self._data += os.read(self._fd, 1 << 20)
            except BlockingIOError:
                return

    def communicate(self, text=None):
        """Output, errors, status; the channel is read meanwhile."""
        out = err = ""
        for _ in range(200):
            try:
                out, err = self.child.communicate(text, timeout=0.05)
                break
            except subprocess.TimeoutExpired:
                text = None
                self.read()
        else:
            self.child.kill()
            pytest.fail("the program did not end")
        return out, err, self.child.returncode

    def calls(self):
        """Every call that was told."""
        self.read()
        found, at = [], 0
        while at < len(self._data):
            size = int.from_bytes(self._data[at + 2 : at + 4], "little")
            assert self._data[at + 4] == SYSCALL
            found.append(decode_syscall(self._data[at : at + size]))
            at += size
        return found

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
        for stream in (self.child.stdin, self.child.stdout, self.child.stderr):
            if stream is not None:
                stream.close()
        self.child.wait()
        os.close(self._fd)


@pytest.fixture
def trace(tmp_path):
    """Starts programs under the tracer."""
    started = []

    def start(*argv, **options):
        directory = tmp_path / str(len(started))
        directory.mkdir()
        started.append(Traced(directory, *argv, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


def test_streams_and_status_are_the_programs_own(trace):
    one = trace("/bin/sh", "-c", "tr a-c A-C; echo e >&2; exit 7", stdin=subprocess.PIPE)
    assert one.communicate("abc\n") == ("ABC\n", "e\n", 7)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGPIPE, signal.SIGSEGV])
def test_an_end_by_a_signal_is_an_end_by_the_same_signal(trace, number):
    assert trace("/bin/sh", "-c", f"kill -{int(number)} $$").communicate()[2] == -number


def test_what_cannot_be_executed_is_told_as_a_shell_would(trace):
    assert trace("/no/such/program").communicate() == (
        "", "belljar: cannot run /no/such/program: there is no such program\n", 127,
    )  # fmt: skip
    assert trace("/etc/hostname").communicate()[2] == 126


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_for_the_tracer_reaches_the_program(trace, number):
    code = (
        "import signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *a: sys.exit(21))\n"
        "print('ready', flush=True)\n"
        "time.sleep(20)\n"
    )
    one = trace(sys.executable, "-c", code)
    assert one.child.stdout.readline() == "ready\n"
    one.child.send_signal(number)
    assert one.communicate()[2] == 21


def test_an_ignored_hangup_stays_ignored(trace):
    code = "import signal; print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)"
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        one = trace(sys.executable, "-c", code)
        assert one.communicate()[0] == "True\n"
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_program_stays_in_the_terminals_group_and_keeps_its_signal_mask(trace):
    code = (
        "import os, signal; print(os.getpgid(0), signal.pthread_sigmask(signal.SIG_BLOCK, ()) or 0,"
        " int(signal.getsignal(signal.SIGINT) == signal.default_int_handler))"
    )
    one = trace(sys.executable, "-c", code)
    assert one.communicate()[0] == f"{os.getpgid(0)} 0 1\n"


def test_each_call_is_told_with_what_it_names(trace, tmp_path):
    code = (
        "import os, socket\n"
        f"os.chdir({str(tmp_path)!r}); d = os.open('.', os.O_RDONLY)\n"
        "open('new', 'w').close(); os.rename('new', 'old', src_dir_fd=d)\n"
        "os.unlink('old', dir_fd=d)\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.sendto(b'x', ('127.0.0.1', 9)); s.sendmsg([b'x'], [], 0, ('127.0.0.1', 10))\n"
        "s.close(); s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.connect(('127.0.0.1', 11)); s.sendmsg([b'y'])\n"
        "u = socket.socket(socket.AF_UNIX); u.bind('\\0name'); u.connect_ex('beneath')\n"
        "t = socket.socket(socket.AF_INET6); t.connect_ex(('::1', 12))\n"
        "os.memfd_create('m')\n"
        "import mmap; mmap.mmap(-1, 8192, prot=mmap.PROT_READ | mmap.PROT_EXEC)\n"
        "os.execve('/bin/true', ['true'], {})\n"
    )
    one = trace(sys.executable, "-I", "-c", code)
    assert one.communicate()[2] == 0
    calls = one.calls()
    assert [call.seq for call in calls] == list(range(1, len(calls) + 1))
    assert (calls[0].name, calls[-1].name) == ("begin", "end")
    told = {(call.kind, call.target) for call in calls}
    for wanted in (
        ("open", f"{tmp_path}/new"),
        ("unlink", f"{tmp_path}/old"),
        ("send", "udp:127.0.0.1:9"),
        ("send", "127.0.0.1:10"),
        ("connect", "udp:127.0.0.1:11"),
        ("bind", "unix:@name"),
        ("connect", f"unix:{tmp_path}/beneath"),
        ("connect", "[::1]:12"),
        ("memfd", "memfd:m"),
        ("exec", "/bin/true"),
    ):
        assert wanted in told, wanted
    (renamed,) = [call for call in calls if call.kind == "rename"]
    assert (renamed.other, renamed.target) == (f"{tmp_path}/new", f"{tmp_path}/old")
    assert renamed.asked == "old"
    assert len([call for call in calls if call.kind == "send"]) == 2, "without an address: not told"
    assert any(call.number == 8192 and not call.target for call in calls if call.name == "mmap")
    assert all(call.start for call in calls[1:-1])


def test_many_threads_and_children_are_all_told(trace, tmp_path):
    code = (
        "import os, threading\n"
        "def work(n):\n"
        "    for i in range(100):\n"
        f"        os.close(os.open(f'{tmp_path}/{{n}}-{{i}}', os.O_CREAT))\n"
        "for n in range(8):\n"
        "    threading.Thread(target=work, args=(n,)).start()\n"
        "for n in range(8, 24):\n"
        "    if os.fork() == 0:\n"
        "        work(n); os._exit(0)\n"
        "while True:\n"
        "    try: os.wait()\n"
        "    except ChildProcessError: break\n"
    )
    one = trace(sys.executable, "-W", "ignore", "-c", code)
    assert one.communicate()[2] == 0
    opened = [call for call in one.calls() if call.kind == "open" and call.number & os.O_CREAT]
    made = [call.target for call in opened if call.target.startswith(f"{tmp_path}/")]
    assert sorted(made) == sorted(f"{tmp_path}/{n}-{i}" for n in range(24) for i in range(100))


def test_signals_that_interrupt_a_call_do_not_fail_it(trace):
    code = (
        "import os, signal\n"
        "count = 0\n"
        "def tick(*_):\n"
        "    global count; count += 1\n"
        "signal.signal(signal.SIGALRM, tick)\n"
        "signal.siginterrupt(signal.SIGALRM, False)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)\n"
        "for _ in range(3000): os.close(os.open('/etc/hostname', 0))\n"
        "signal.setitimer(signal.ITIMER_REAL, 0)\n"
        "print(count > 5)\n"
    )
    one = trace(sys.executable, "-c", code)
    assert one.communicate() == ("True\n", "", 0)


def test_if_the_supervisor_is_killed_the_program_ends_and_does_not_hang(trace):
    one = trace("/bin/sh", "-c", "echo $$; while :; do : </etc/hostname; done")
    program = int(one.child.stdout.readline())
    one.child.kill()
    one.communicate()
    for _ in range(200):
        if not os.path.exists(f"/proc/{program}"):
            break
        time.sleep(0.01)
    else:
        pytest.fail("the program goes on without its supervisor")
    assert "end" not in {call.name for call in one.calls()}


def test_what_the_program_left_behind_is_still_answered(trace, tmp_path):
    done = tmp_path / "done"
    one = trace("/bin/sh", "-c", f"(sleep 0.3; : </etc/hostname && echo ok >{done}) & exit 4")
    assert one.communicate()[2] == 4
    for _ in range(300):
        if done.exists() and done.read_text():
            break
        time.sleep(0.01)
    assert done.read_text() == "ok\n"
    (end,) = [call for call in one.calls() if call.name == "end"]
    assert end.number == 1


def test_a_reader_that_goes_away_does_not_stop_the_program(trace):
    one = trace("/bin/sh", "-c", "read x; : </etc/hostname && echo ok", stdin=subprocess.PIPE)
    while not one.calls():
        time.sleep(0.01)
    other = os.open("/dev/null", os.O_RDONLY)
    os.dup2(other, one._fd)
    os.close(other)
    assert one.child.communicate("go\n", timeout=10)[0] == "ok\n"


def test_a_tree_has_one_supervisor_and_a_second_one_says_so(trace, tmp_path):
    os.mkfifo(tmp_path / "second")
    keep = os.open(tmp_path / "second", os.O_RDWR)
    one = trace(TRACER, str(tmp_path / "second"), "--", "/bin/true")
    _, err, status = one.communicate()
    os.close(keep)
    assert status == 125
    assert err == (
        "belljar: cannot cross-check: the filter: "
        "another supervisor already listens in this process tree\n"
    )


def test_an_ordinary_user_needs_no_privilege_and_root_gives_none_up(
    trace, tmp_path, tmp_path_factory
):
    show = ("/bin/sh", "-c", "grep NoNewPrivs /proc/self/status; : </etc/hostname")
    options = {}
    if os.getuid() == 0:
        one = trace(*show)
        assert one.communicate()[0].split() == ["NoNewPrivs:", "0"]
        options = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    readable = tmp_path_factory.mktemp("tracer")
    tracer = shutil.copy(TRACER, readable / "tracer")
    for directory in (readable, tmp_path, *readable.parents[:-2]) if options else ():
        os.chmod(directory, 0o755)
    one = trace(*show, tracer=str(tracer), **options)
    out, err, status = one.communicate()
    assert (out.split(), err, status) == (["NoNewPrivs:", "1"], "", 0)
    assert "/etc/hostname" in {call.target for call in one.calls()}


def test_a_wrong_command_line_is_a_usage_error():
    done = subprocess.run([TRACER, "x"], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: belljar-tracer")


def test_without_a_channel_nothing_runs(tmp_path):
    argv = [TRACER, str(tmp_path / "none"), "--", "/bin/echo", "ran"]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (125, "")
    assert "cannot cross-check: the channel: No such file" in done.stderr
