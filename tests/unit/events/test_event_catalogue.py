"""The catalogue against itself, and against the interpreter that runs this test."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import sysconfig
from collections.abc import Iterator

import pytest

from belljar import catalogue
from belljar.events import details
from belljar.events.catalogue import BY_NAME, CATEGORIES, ROWS, category, lookup
from belljar.events.elsewhere import ROWS as ELSEWHERE
from belljar.events.kinds import WORDS, mismatch
from belljar.model import RIGHTS

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"

WORKOUT = r"""
import json, os, sys
seen = {}
def kind(value):
    name = type(value).__name__
    if name in ("tuple", "list", "dict"):
        return "array"
    return {"NoneType": "None", "code": "code"}.get(name, name if name in PLAIN else f"<{name}>")
PLAIN = ("str", "bytes", "int", "float", "bool")
def hook(name, args):
    shape = [kind(value) for value in args]
    if shape not in seen.setdefault(name, []):
        seen[name].append(shape)
sys.addaudithook(hook)
import array, ctypes, fcntl, gc, glob, marshal, mmap, pickle, resource, shutil, signal, socket
import sqlite3, subprocess, tempfile, threading, time, types, urllib.request
folder = tempfile.mkdtemp()
os.chdir(folder)
open("a", "w").close()
descriptor = os.open("a", os.O_RDWR)
os.chmod("a", 0o644); os.fchmod(descriptor, 0o644); os.chown("a", os.getuid(), os.getgid())
os.link("a", "b"); os.symlink("a", "c"); os.rename("b", "d"); os.replace("d", "e"); os.remove("e")
os.listdir(); os.listdir("."); list(os.scandir()); os.mkdir("f"); os.rmdir("f")
os.truncate("a", 4096)
os.utime("a"); list(os.walk(".")); list(os.fwalk(".")); glob.glob("*")
os.lockf(descriptor, os.F_LOCK, 0); fcntl.flock(descriptor, fcntl.LOCK_UN)
fcntl.lockf(descriptor, fcntl.LOCK_UN); fcntl.fcntl(descriptor, fcntl.F_GETFD)
mmap.mmap(descriptor, 4096).close(); os.close(descriptor)
for attempt in (lambda: os.getxattr("a", "user.x"), lambda: os.listxattr("a"),
                lambda: os.setxattr("a", "user.x", b""), lambda: os.removexattr("a", "user.x"),
                lambda: os.kill(os.getpid(), 0), lambda: os.killpg(os.getpgrp(), 0),
                lambda: socket.gethostbyname("127.0.0.1"),
                lambda: socket.gethostbyaddr("127.0.0.1"),
                lambda: socket.getnameinfo(("127.0.0.1", 9), socket.NI_NUMERICHOST),
                lambda: socket.getservbyname("http"), lambda: socket.getservbyport(80),
                lambda: fcntl.ioctl(0, 0x5413, b"12345678"),
                lambda: ctypes.CDLL("no-such-library")):
    try:
        attempt()
    except OSError:
        pass
shutil.copyfile("a", "g"); shutil.copymode("a", "g"); shutil.copystat("a", "g")
shutil.move("g", "h")
tempfile.mkstemp(dir=folder)
server = socket.socket(); server.bind(("127.0.0.1", 0)); server.listen()
client = socket.socket(); client.connect(server.getsockname())
datagram = socket.socket(type=socket.SOCK_DGRAM)
datagram.sendto(b"", ("127.0.0.1", 9)); datagram.sendmsg([b""], [], 0, ("127.0.0.1", 9))
socket.getaddrinfo("127.0.0.1", 80); socket.gethostname()
for each in (server, client, datagram):
    each.close()
os.system("true"); subprocess.run(["true"])
os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
if (pid := os.fork()) == 0:
    try:
        os.execv("/no-such-program", ["x"])
    finally:
        os._exit(0)
os.waitpid(pid, 0)
os.putenv("A", "b"); os.unsetenv("A"); signal.pthread_kill(threading.get_ident(), 0)
resource.setrlimit(resource.RLIMIT_CORE, resource.getrlimit(resource.RLIMIT_CORE))
resource.prlimit(os.getpid(), resource.RLIMIT_CORE)
resource.prlimit(os.getpid(), resource.RLIMIT_CORE, resource.getrlimit(resource.RLIMIT_CORE))
thread = threading.Thread(target=int); thread.start(); thread.join()
exec(compile("1", "x", "exec")); (lambda: 0).__code__.replace(co_name="y")
types.FunctionType(compile("1", "x", "exec"), {})
marshal.loads(marshal.dumps(1)); pickle.loads(pickle.dumps(os.getcwd)); array.array("b", [1])
id(1)
ctypes.pythonapi.Py_IsInitialized; ctypes.addressof(ctypes.c_int()); ctypes.string_at(b"x", 1)
ctypes.c_int.from_buffer(bytearray(8)); ctypes.create_string_buffer(1); ctypes.get_errno()
ctypes.set_errno(0)
gc.get_objects(0); gc.get_referrers(); gc.get_referents(); sys._getframe(); sys._current_frames()
sys.setprofile(None); sys.settrace(None); time.sleep(0); int.__class__; (lambda: 0).__code__
sqlite3.connect(":memory:").close(); urllib.request.Request("http://x/")
types.FunctionType.__code__
sys.addaudithook(lambda *event: None)
shutil.rmtree(folder)
print(json.dumps(seen))
"""


def test_the_catalogue_has_over_a_hundred_events_and_each_once() -> None:
    assert len(ROWS) > 130
    assert len(BY_NAME) == len(ROWS)


@pytest.mark.parametrize("row", [*ROWS, *(r for r, _ in ELSEWHERE)], ids=lambda row: row[0])
def test_every_row_speaks_the_common_vocabulary(
    row: tuple[str, str, str, int, str, str, str],
) -> None:
    _, args, right, target, kind, versions, _ = row
    assert right == "" or right in RIGHTS
    assert -1 <= target < len(args.split())
    assert kind in CATEGORIES
    assert re.fullmatch(r"(3\.\d+\+|-3\.\d+)?", versions)


def test_the_public_table_has_every_row_with_types_and_platforms() -> None:
    entries = catalogue.entries()
    assert len(entries) == len(ROWS) + len(ELSEWHERE) == len({entry.name for entry in entries})
    assert len(entries) > 205
    for entry in entries:
        for signature in entry.signatures:
            for argument in signature.arguments:
                assert argument.types, entry.name
                assert set(argument.types) <= set(WORDS), (entry.name, argument)
        assert set(entry.platforms) <= set(catalogue.PLATFORMS_KNOWN)
        assert entry.platforms
        assert entry.target is None or entry.target in [a.name for a in entry.arguments()]


def test_what_the_cold_columns_say_is_of_events_that_exist() -> None:
    names = {entry.name for entry in catalogue.entries()}
    for column in (details.TYPES, details.VARIANTS, details.PLATFORMS, details.LIES):
        assert set(column) <= names
    for name, others in details.DOUBLES.items():
        assert {name, *others} <= names


def test_windows_and_macos_have_their_rows() -> None:
    windows = {e.name for e in catalogue.entries(platform="windows")}
    linux = {e.name for e in catalogue.entries(platform="linux")}
    macos = {e.name for e in catalogue.entries(platform="macos")}
    assert len(windows - linux) > 40
    assert macos - linux == {"os.chflags"}
    assert "os.fork" in linux & macos - windows


def test_every_line_of_pep_578_has_become_something_that_exists() -> None:
    lines = catalogue.pep578()
    assert [line.table for line in lines] == [1] * 11 + [2] * 12
    assert [line.promised for line in lines if line.promised not in line.shipped] == [
        "cpython.PyFile_SetOpenCodeHook", "io.open", "sys._clearaudithooks", "socket.address",
    ]  # fmt: skip
    for line in lines:
        assert all(catalogue.lookup(name) for name in line.shipped), line


def test_importing_the_rows_alone_loads_nothing_cold() -> None:
    code = (
        "import sys, belljar.events.targets\n"
        "print([m for m in sys.modules if m.startswith('belljar.events.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for cold in ("details", "elsewhere", "table", "silences", "pep578", "kinds"):
        assert f"belljar.events.{cold}'" not in done.stdout


def test_an_event_of_a_library_is_of_no_category_and_has_no_row() -> None:
    assert lookup("some.library.event") is None
    assert category("some.library.event") == "other"
    assert category("os.rename") == "file"


def test_events_that_a_workout_raises_are_catalogued_with_their_arguments() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WORKOUT], capture_output=True, text=True, check=True
    )
    seen: dict[str, list[list[str]]] = json.loads(done.stdout)
    assert len(seen) > 75
    assert [name for name in seen if name not in BY_NAME] == []
    wrong = {}
    for name, shapes in seen.items():
        entry = catalogue.lookup(name)
        assert entry is not None
        types = ["|".join(argument.types) for argument in entry.arguments(HERE)]
        if texts := {mismatch(types, shape) for shape in shapes} - {""}:
            wrong[name] = texts
    assert wrong == {}
    assert [n for n in seen if not catalogue.in_version(BY_NAME[n][5], HERE)] == []


def test_every_event_of_this_version_stands_in_the_interpreter_or_its_library() -> None:
    missing = {row[0].encode() for row in ROWS if catalogue.in_version(row[5], HERE)}
    missing = {name for name in missing if not name.startswith(b"belljar.")}
    if not hasattr(sqlite3.Connection, "load_extension"):  # chosen when the interpreter is built
        missing -= {b"sqlite3.load_extension", b"sqlite3.enable_load_extension"}
    for blob in interpreter_files():
        missing -= {name for name in missing if name in blob}
        if not missing:
            break
    assert missing == set()


def test_every_event_that_the_standard_library_raises_is_catalogued() -> None:
    library = sysconfig.get_path("stdlib")
    raised = set()
    for source in python_sources(library):
        with open(source, encoding="utf-8", errors="replace") as file:
            raised |= set(re.findall(r"""\bsys\.audit\(\s*["']([\w./]+)["']""", file.read()))
    assert len(raised) > 30
    assert raised - {entry.name for entry in catalogue.entries(HERE)} == set()


def interpreter_files() -> Iterator[bytes]:
    with open("/proc/self/maps", encoding="utf-8") as maps:
        paths = {line.split()[-1] for line in maps if "libpython" in line or "/bin/python" in line}
    modules = os.path.join(sysconfig.get_path("stdlib"), "lib-dynload")
    paths |= {os.path.join(modules, name) for name in os.listdir(modules)}
    for path in (*sorted(paths), *python_sources(sysconfig.get_path("stdlib"))):
        if os.path.isfile(path):
            with open(path, "rb") as file:
                yield file.read()


def python_sources(library: str) -> Iterator[str]:
    for folder, below, names in os.walk(library):
        below[:] = [b for b in below if b not in ("test", "tests", "site-packages", "idlelib")]
        below[:] = [b for b in below if b != "dist-packages"]
        yield from (os.path.join(folder, name) for name in names if name.endswith(".py"))
