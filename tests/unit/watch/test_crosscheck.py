"""The cross-check on real programs: what an event announced, and what slipped past every event."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest
from tests.conftest import cannot, interpreters

#: Watches a command as `belljar watch --cross-check` does, and tells what came as JSON.
DRIVER = """
import json, os, sys
from belljar.report.coverage import lines, objects
from belljar.watch import run
from belljar.watch.attach import settings
from belljar.watch.crosscheck import CrossCheck, prefix

check = CrossCheck()

def take(chunks):
    for chunk in chunks:
        check.take(chunk)

told = settings(stacks=int(os.environ.get("STACKS", "0")))
done = run.watch(sys.argv[2:], os.environ, take, check.work, prefix=prefix(), settings=told)
coverage = check.report()
with open(sys.argv[1], "w") as file:
    found = [str(f) for f in (*done.findings, *check.findings)]
    json.dump([done.status, objects(coverage), lines(coverage), found], file)
"""


class Checked:
    """What a cross-check told."""

    def __init__(self, done, path):
        self.stdout, self.stderr = done.stdout, done.stderr
        self.status, told, self.lines, self.findings = json.loads(path.read_text())
        self.rows = {one["of"]: one for one in told if one["kind"] == "coverage"}
        self.groups = [one for one in told if one["kind"] == "unexplained"]

    def unexplained(self, kind):
        return {group["target"] for group in self.groups if group["of"] == kind}

    def group(self, target):
        (found,) = [group for group in self.groups if group["target"] == target]
        return found


@pytest.fixture
def check(tmp_path):
    """Cross-checks a program given as source, or a command."""

    def run(source=None, *argv, python=sys.executable, stacks=0, **options):
        words = list(argv)
        if source is not None:
            script = tmp_path / "program.py"
            script.write_text(textwrap.dedent(source))
            words = [python, "-I", str(script), *argv]
        env = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "PATH": "/usr/bin:/bin"}
        env["HOME"] = str(tmp_path)  # else getpwuid reads files without an event
        env["STACKS"] = str(stacks)
        out = tmp_path / "coverage.json"
        done = subprocess.run(
            [sys.executable, "-c", DRIVER, str(out), *words],
            check=False, capture_output=True, text=True, cwd=tmp_path, env=env, timeout=60,
            **options,
        )  # fmt: skip
        assert out.exists(), done.stderr
        return Checked(done, out)

    return run


@pytest.fixture
def compiled(tmp_path):
    """Compiles C; options go to the compiler."""

    def build(name, source, *options):
        if shutil.which("cc") is None:
            cannot("there is no C compiler")
        (tmp_path / f"{name}.c").write_text(textwrap.dedent(source))
        subprocess.run(["cc", *options, f"{name}.c", "-o", name], check=True, cwd=tmp_path)
        return str(tmp_path / name)

    return build


PLAIN = """
    import json, os, pathlib, random, subprocess, sys, tempfile, shutil, socket, threading
    os.chdir(tempfile.mkdtemp())
    pathlib.Path("a").write_text(json.dumps([1]))
    with open("a") as one, open(b"b", "wb") as other: shutil.copyfileobj(one, open("c", "w"))
    os.rename("a", "d"); os.replace("d", "e"); os.unlink("e")
    os.makedirs("x/y/z"); open("x/y/z/f", "w").close()
    os.listdir("x"); os.listdir(); list(os.scandir())
    fd = os.open("x", os.O_RDONLY); os.close(os.open("y", os.O_RDONLY, dir_fd=fd))
    [*os.walk("x")]; shutil.copytree("x", "w"); shutil.rmtree("x")
    server = socket.create_server(("127.0.0.1", 0))
    socket.create_connection(server.getsockname()).close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u: u.sendto(b"", ("127.0.0.1", 9))
    local = socket.socket(socket.AF_UNIX); local.bind("s"); local.listen()
    socket.socket(socket.AF_UNIX).connect(os.path.abspath("s"))
    subprocess.run([sys.executable, "-I", "-c", "import csv; open('/etc/hostname').close()"])
    subprocess.run("exit 0", shell=True); os.system("true"); os.spawnlp(os.P_WAIT, "true", "true")
    os.waitpid(os.posix_spawn("/bin/true", ["true"], os.environ), 0)
    workers = [threading.Thread(target=lambda: open("/etc/hostname").close()) for _ in range(9)]
    for worker in workers: worker.start()
    for worker in workers: worker.join()
    if (child := os.fork()) == 0:
        open("/etc/hostname").close(); os._exit(0)
    os.waitpid(child, 0)
    os.execvp("true", ["true"])
"""


@pytest.mark.parametrize("python", interpreters())
def test_every_call_of_a_plain_program_is_explained(check, python):
    checked = check(PLAIN, python=python)
    assert checked.status == 0, checked.stderr
    assert checked.groups == []
    assert checked.findings == []
    assert set(checked.rows) == {
        "open", "exec", "connect", "bind", "send", "unlink", "rename", "executable memory",
    }  # fmt: skip
    for row in checked.rows.values():
        assert row["percent"] == 100
        assert row["explained"] > 0
        assert row["seen"] == row["explained"] + row["attributed"]
        assert sum(row["reasons"].values()) == row["seen"]


def test_certificates_that_ssl_loads_are_told(check, tmp_path):
    import ssl

    known = ssl.get_default_verify_paths().cafile
    if known is None:
        cannot("there are no certificates")
    shutil.copy(known, tmp_path / "ca.pem")
    checked = check(
        f"""
        import ssl
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        compile("0", "mark", "eval")
        context.load_verify_locations({str(tmp_path / "ca.pem")!r})
        print(1)
        """
    )
    group = checked.group(f"{tmp_path}/ca.pem")
    assert (group["call"], group["last"]) == ("openat", "compile")
    assert group["frame"]["file"] == f"{tmp_path}/program.py"
    assert group["frame"]["line"] == 4
    assert checked.rows["open"]["percent"] < 100


def test_with_stacks_the_place_is_the_programs_own_and_not_the_librarys(check, tmp_path):
    source = """
        import sqlite3
        one = sqlite3.connect(":memory:")
        def attach():
            import json.tool, logging.config
            one.execute("attach 'other.db' as o"); one.execute("create table o.t(x)")
            import asyncio
        attach()
    """
    group = check(source, stacks=16).group(f"{tmp_path}/other.db")
    assert (group["frame"]["file"], group["frame"]["function"]) == (
        f"{tmp_path}/program.py", "attach",
    )  # fmt: skip
    assert (group["frame"]["line"], group["after"]["line"]) == (5, 7)
    assert group["frames"][-1]["function"] == "<module>"


def test_a_database_that_sqlite_attaches_is_told_and_one_that_it_connects_is_not(check, tmp_path):
    checked = check(
        """
        import sqlite3
        one = sqlite3.connect("one.db")
        one.execute("create table t(x)"); one.commit()
        one.execute("attach 'other.db' as o"); one.execute("create table o.t(x)"); one.commit()
        wal = sqlite3.connect("file:wal.db?mode=rwc", uri=True)
        wal.execute("pragma journal_mode=wal"); wal.execute("create table t(x)"); wal.commit()
        """
    )
    assert checked.unexplained("open") == {f"{tmp_path}/other.db", f"{tmp_path}/other.db-journal"}
    assert checked.unexplained("unlink") == {f"{tmp_path}/other.db-journal"}
    assert checked.group(f"{tmp_path}/other.db")["frame"]["line"] in (3, 4, 5)


def test_calls_that_ctypes_makes_are_told(check):
    checked = check(
        """
        import ctypes, socket, struct
        c = ctypes.CDLL(None)
        c.open(b"/etc/hostname", 0)
        s = socket.socket()
        c.connect(s.fileno(), struct.pack("=HH4s8x", 2, socket.htons(7), bytes([127, 0, 0, 1])), 16)
        c.unlink(b"/no/such/file"); c.rename(b"/no/a", b"/no/b"); c.memfd_create(b"m", 0)
        c.ptrace(0, 0, 0, 0)
        c.mprotect(c.mmap and 0, 0, 4)
        open("/etc/hostname").close()
        """
    )
    assert checked.unexplained("open") == {"/etc/hostname"}
    assert checked.group("/etc/hostname")["count"] == 1, "the event's own open is explained"
    assert checked.group("/etc/hostname")["frame"]["line"] == 4
    assert checked.unexplained("connect") == {"127.0.0.1:7"}
    assert checked.unexplained("unlink") == {"/no/such/file"}
    assert checked.unexplained("rename") == {"/no/b"}
    assert checked.unexplained("memfd") == {"memfd:m"}
    assert checked.rows["ptrace"]["unexplained"] == 1
    assert checked.rows["executable memory"]["unexplained"] == 1
    assert any("openat /etc/hostname" in line for line in checked.lines)


def test_a_file_that_a_c_extension_opens_is_told(check, compiled, tmp_path):
    import sysconfig

    compiled(
        "sneaky" + sysconfig.get_config_var("EXT_SUFFIX"),
        """
        #include <Python.h>
        #include <stdio.h>
        static PyObject *peek(PyObject *self, PyObject *args)
        {
            (void)self; (void)args;
            FILE *f = fopen("/etc/passwd", "r");
            if (f) fclose(f);
            Py_RETURN_NONE;
        }
        static PyMethodDef methods[] = {{"peek", peek, METH_NOARGS, ""}, {0}};
        static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "sneaky", "", -1, methods};
        PyMODINIT_FUNC PyInit_sneaky(void) { return PyModule_Create(&module); }
        """,
        "-x", "c", "-shared", "-fPIC", f"-I{sysconfig.get_path('include')}",
    )  # fmt: skip
    checked = check(
        f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        import sneaky
        open("/etc/passwd").close()
        sneaky.peek()
        """
    )
    assert checked.status == 0, checked.stderr
    group = checked.group("/etc/passwd")
    assert group["count"] == 1
    assert group["frame"]["line"] == 5
    assert checked.unexplained("executable memory") == set(), "its import is an event"


def test_a_program_in_c_is_told_as_not_python(check, compiled):
    opens = compiled(
        "opens",
        """
        #include <fcntl.h>
        int main(void) { return open("/etc/passwd", O_RDONLY) < 0; }
        """,
    )
    checked = check(f"import subprocess; subprocess.run([{opens!r}])")
    assert checked.groups == []
    assert checked.rows["open"]["reasons"]["programs that are not Python"] > 1
    assert any(f"{opens}: " in line for line in checked.lines)


def test_a_program_that_no_event_started_is_told_with_what_it_did(check, compiled):
    opens = compiled(
        "opens",
        """
        #include <fcntl.h>
        int main(void) { return open("/etc/passwd", O_RDONLY) < 0; }
        """,
    )
    checked = check(
        f"""
        import ctypes, os
        c = ctypes.CDLL(None)
        argv = (ctypes.c_char_p * 2)({opens.encode()!r}, None)
        number = {{"x86_64": 59, "aarch64": 221}}[os.uname().machine]
        if c.fork() == 0:
            c.syscall(number, argv[0], argv, None)
        os.wait()
        """
    )
    assert checked.unexplained("exec") == {opens}
    assert checked.group(opens)["frame"]["line"] in (6, 7)
    assert "/etc/passwd" in checked.unexplained("open")


def test_what_only_the_recorder_saw_is_told_as_such(check):
    checked = check(
        """
        import ctypes
        c = ctypes.CDLL(None)
        pid = ctypes.c_int()
        argv = (ctypes.c_char_p * 2)(b"/bin/cat", None)
        c.posix_spawn(ctypes.byref(pid), argv[0], None, None, argv, None)
        c.waitpid(pid, None, 0)
        c.open(b"/etc/hostname", 0)
        """,
        stdin=subprocess.DEVNULL,
    )
    assert checked.group("/bin/cat")["recorded"] == "belljar.exec"
    assert checked.group("/etc/hostname")["recorded"] == "belljar.open"
    for kind in ("exec", "open"):
        assert (checked.rows[kind]["unexplained"], checked.rows[kind]["recorded"]) == (1, 1)
    assert any(", in the record as belljar.open" in line for line in checked.lines)


def test_the_command_need_not_be_python(check):
    checked = check(None, "/bin/sh", "-c", "cat /etc/hostname >/dev/null; exit 5")
    assert checked.status == 5
    assert checked.groups == []
    assert {row["percent"] for row in checked.rows.values()} == {None}


def test_a_name_that_is_resolved_explains_what_the_resolver_reads(check):
    checked = check(
        """
        import socket
        try: socket.getaddrinfo("localhost", 80)
        except OSError: pass
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.sendto(b"", ("localhost", 9))
        """
    )
    assert checked.groups == []
    assert checked.rows["open"]["reasons"]["resolving a name"] > 0


def test_status_signals_and_streams_are_the_programs_own(check):
    checked = check("import sys; print(sys.stdin.read()); sys.exit(9)", input="in")
    assert (checked.status, checked.stdout) == (9, "in\n")
    checked = check(None, "/bin/sh", "-c", "kill -TERM $$")
    assert checked.status == 128 + signal.SIGTERM


def test_a_supervisor_that_is_killed_is_a_finding(check):
    checked = check("import os, time; os.kill(os.getppid(), 9); time.sleep(20)")
    assert checked.status == 128 + signal.SIGKILL
    assert "the cross-check's supervisor was killed: what followed was not seen" in checked.findings


def test_a_child_that_runs_on_is_a_finding(check):
    checked = check(None, "/bin/sh", "-c", "sleep 1 & exit 0", stdin=subprocess.DEVNULL)
    assert "the program left processes behind that were not cross-checked" in checked.findings


def test_a_set_up_io_uring_is_a_blind_spot_that_is_told(check):
    checked = check("import ctypes; ctypes.CDLL(None).syscall(425, 4, None)")
    assert checked.rows["io_uring"]["unexplained"] == 1


def test_forged_frames_betray_themselves(check):
    checked = check(
        """
        import os, struct
        body = bytes([0x94, 0xA8]) + b"openat2" + b"\\0" * 4
        body = bytes([0x94, 0xA4]) + b"open" + b"\\0\\0\\0"
        frame = struct.pack("<HHBBHIIQQ", 0x4A42, 32 + len(body), 5, 0, 2, 1, 1, 99, 0) + body
        os.write(os.open(os.environ["BELLJAR_CHANNEL"], os.O_WRONLY), frame)
        """
    )
    assert any("frames were lost or forged" in finding for finding in checked.findings)
