"""A guest that is forked from a template has the walls of one that is executed, and nothing of the
template's, of the host's, or of other guests'."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from forking import Host, Refused, family, memory, state
from tiers import Tier

LONG = os.environ.get("BELLJAR_LONG") == "1"
WAIT = "\nimport time\nwhile True: time.sleep(60)"


@pytest.fixture
def host(where: Tier) -> Iterator[Host]:
    one = Host(where)
    one.do("template", modules=["json", "random", "tempfile", "uuid", "ssl", "secrets"])
    yield one
    one.close()


def test_the_same_attempts_fail_in_the_same_way(host: Host) -> None:
    cold, forked = host.do("probes", template=""), host.do("probes", template="t")
    assert isinstance(cold, dict)
    assert isinstance(forked, dict)
    assert {n: inside for n, (_, inside) in forked.items()} == {
        n: inside for n, (_, inside) in cold.items()
    }
    assert all(inside for _, inside in forked.values())


def test_a_guest_finds_itself_as_one_that_was_just_started(host: Host) -> None:
    code = (
        "import json, os, sys, threading, resource\n"
        "print(json.dumps([os.getpid(), os.getppid(), os.getuid(), sys.argv, dict(os.environ),"
        " os.getcwd(), threading.active_count(), threading.main_thread().native_id,"
        " sys.stdout.line_buffering, sys.path,"
        " os.uname().nodename, sys.stdin.read(), os.cpu_count(),"
        # waits for `_socket` to be imported, which the template has done
        " len([one for one in sys.meta_path if type(one).__name__ != '_Interfaces']),"
        " resource.getrlimit(resource.RLIMIT_NOFILE), os.umask(0),"
        " os.listdir('/tmp'), sys.flags.isolated, sys.orig_argv]))"
    )
    both = []
    for name, template in (("cold", ""), ("forked", "t")):
        both.append(json.loads(host.run(name, code, template=template, env=[["A", "b"]])))
        host.do("end", name=name)
    assert both[0] == both[1]


def test_a_guest_has_no_descriptor_but_its_own(host: Host) -> None:
    pid = host.do("template")
    assert isinstance(pid, int)
    before = set(family(pid))
    assert host.run("one", "print('up', flush=True)" + WAIT) == "up\n"
    init, guest = sorted(set(family(pid)) - before)
    open_ones = {
        int(fd): os.readlink(f"/proc/{guest}/fd/{fd}") for fd in os.listdir(f"/proc/{guest}/fd")
    }
    names = [open_ones.pop(fd) for fd in (0, 1, 2)]
    assert names[0] == "/dev/null"
    assert names[1].startswith("pipe:")
    assert [name.rpartition("/")[2] for name in open_ones.values()] == ["channel"]
    assert [os.readlink(f"/proc/{init}/fd/{fd}")[:7] for fd in os.listdir(f"/proc/{init}/fd")] == [
        "socket:"
    ]
    status = Path(f"/proc/{guest}/status").read_text()
    for line in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"):
        assert f"{line}:\t0000000000000000\n" in status
    assert "NoNewPrivs:\t1\n" in status
    assert "Seccomp:\t2\n" in status


def test_no_byte_of_the_host_or_of_another_guest_is_in_a_guests_memory(where: Tier) -> None:
    marks = [secrets.token_hex(12) for _ in range(6)]
    argument, variable, folder, value, source, own = marks
    host = Host(where, argument, MARK=variable)
    try:
        pid = host.do("template", modules=["json"])
        assert isinstance(pid, int)
        for name in (folder, own):
            (where.home / name).mkdir(exist_ok=True)
            where.own(where.home / name)
        grant = ["read", "/in", "test", str(where.home / folder)]
        more = {"grants": [grant], "env": [["VALUE", value]]}
        code = f"print('up', flush=True); mark = {source!r}" + WAIT
        seen = []
        for name, given in (("a", code), ("b", "print('up', flush=True)" + WAIT)):
            before = set(family(pid))
            if name == "b":  # its own plan has this host path, which it does not need to know
                more = {"grants": [["read", "/in", "test", str(where.home / own)]]}
            assert host.run(name, given, **more) == "up\n"
            seen.append(max(set(family(pid)) - before))
        first, second = memory(seen[0]), memory(seen[1])
        assert len(second) > 1 << 20
        for mark in (value, source):
            assert mark.encode() in first, "the test cannot see anything"
        found = {m for m in marks if m.encode() in second}
        assert not found, [marks.index(m) for m in found]
        for mark in (argument, variable, folder):
            assert mark.encode() not in first
        template = memory(family(pid)[2])
        assert not [m for m in marks if m.encode() in template]
    finally:
        host.close()


DRAWS = """
import json, random, secrets, ssl, tempfile, uuid
draws = [random.random(), random.SystemRandom().random(), secrets.token_hex(8),
         ssl.RAND_bytes(8).hex(), uuid.uuid4().hex, uuid.uuid1().hex, tempfile.mktemp(),
         uuid.getnode(), next(tempfile._get_candidate_names())]
if NUMPY:
    import numpy
    draws += [numpy.random.random(), float(numpy.random.default_rng().random())]
from multiprocessing import current_process
draws.append(bytes(current_process().authkey).hex())
print(json.dumps(draws))
"""


def test_guests_of_one_template_draw_nothing_that_is_the_same(where: Tier) -> None:
    numpy = where.name == "root"
    modules = [
        "random",
        "tempfile",
        "uuid",
        "ssl",
        "secrets",
        "multiprocessing",
        "_uuid",
        "_hashlib",
    ]
    host = Host(where)
    try:
        setup = (
            "import random, ssl, tempfile, uuid\n"
            "random.random(), ssl.RAND_bytes(9), tempfile.mktemp(), uuid.uuid4(), uuid.getnode()\n"
        )
        host.do("template", modules=modules + ["numpy"] * numpy, setup=setup)
        code = DRAWS.replace("NUMPY", str(numpy))
        drawn = []
        for number in range(200 if LONG else 8):
            drawn.append(json.loads(host.run(str(number), code)))
            host.do("end", name=str(number))
        for column in zip(*drawn, strict=True):
            assert len(set(column)) == len(column), column[:3]
    finally:
        host.close()


def test_what_one_guest_changes_no_other_sees(host: Host) -> None:
    change = """
import json, os, sys
json.mark = 1
json.JSONDecoder.decode = None
sys.modules["mark"] = json
sys.path.append("/mark")
os.environ["MARK"] = "1"
os.chdir("/tmp")
open("/tmp/mark", "w").close()
open("/dev/shm/mark2", "w").close()
"""
    look = """
import json, os, sys
print(json.dumps([hasattr(json, "mark"), "mark" in sys.modules, "/mark" in sys.path,
      "MARK" in os.environ, {"mark", "mark2"} & set(os.listdir("/tmp")) != set(), os.getcwd()]))
"""
    assert host.run("a", change + "print('up', flush=True)" + WAIT) == "up\n"
    assert json.loads(host.run("b", look)) == [False, False, False, False, False, "/box"]
    host.do("end", name="a")
    assert json.loads(host.run("c", look)) == [False, False, False, False, False, "/box"]


def test_each_guest_writes_a_record_of_its_own_from_the_hello_on(host: Host) -> None:
    noisy = "import os\nfor n in range(300): os.path.exists('/x'); open('/dev/null').close()\n"
    for name in ("a", "b"):
        more = noisy if name == "a" else ""
        assert host.run(name, more + "print('up', flush=True)") == "up\n"
    a, b = (host.do("end", name=name) for name in ("a", "b"))
    assert isinstance(a, dict)
    assert isinstance(b, dict)
    assert {*a["found"], *b["found"]} <= {"vanished"}  # it may be ended before it says goodbye
    assert a["events"] > b["events"] + 250


def test_a_guest_may_fork_and_execute_what_its_own_policy_allows(host: Host) -> None:
    code = """
import multiprocessing, os, subprocess, sys
with multiprocessing.get_context("fork").Pool(1) as pool:
    print(pool.apply(os.getpid) > 2, end=" ")
print(subprocess.run(["/bin/echo", "ran"], stdout=subprocess.PIPE).stdout, end=" ")
# on an executable mount, and no rule of Landlock's names it: the C library is a program, too
library = next(p for p in LIBRARIES if os.path.exists(p))
assert os.access(library, os.X_OK)
for path in (library, sys.executable):
    try:
        subprocess.run([path])
    except PermissionError:
        print("refused", end=" ")
print(flush=True)
"""
    libraries = [f"/usr/lib/{os.uname().machine}-linux-gnu/libc.so.6", "/usr/lib64/libc.so.6"]
    grants = [["run", os.path.realpath("/bin/echo"), "test"]]
    code = code.replace("LIBRARIES", repr(libraries))
    said = host.run("a", code, processes=6, grants=grants)
    assert said == "True b'ran\\n' refused refused \n"


def test_a_guest_without_a_grant_can_execute_nothing(host: Host) -> None:
    code = """
import os, sys
for path in (sys.executable, "/bin/true", "/belljar/boot.pyc"):
    try:
        os.execv(path, [path])
    except OSError as error:
        print(type(error).__name__, end=" ")
print(flush=True)
"""
    assert host.run("a", code) == "PermissionError " * 3 + "\n"


def test_limits_count_for_each_guest_alone(host: Host) -> None:
    code = """
import threading, time
made = 0
try:
    while made < 50:
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
        made += 1
except RuntimeError:
    pass
print(made, flush=True)
"""
    more = {"threads": 6, "processes": 1}
    said = [host.run(name, code + WAIT, **more) for name in ("a", "b", "c")]
    cold = host.run("cold", code + WAIT, template="", **more)
    assert said == [cold] * 3
    assert 1 < int(cold) < 10


def test_no_zombie_is_left_and_nothing_grows(host: Host) -> None:
    pid = host.do("template")
    assert isinstance(pid, int)
    host.run("x", "print('up')")
    host.do("end", name="x")
    before, descriptors = len(family(pid)), host.do("descriptors")
    for number in range(2000 if LONG else 20):
        assert host.run(str(number), "print('up')") == "up\n"
        host.do("end", name=str(number))
    assert len(family(pid)) == before
    assert host.do("descriptors") == descriptors
    assert all(state(one) != "Z" for one in family(pid))


def test_what_cannot_be_forked_safely_is_refused(host: Host) -> None:
    thread = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()"
    with pytest.raises(Refused, match="thread") as caught:
        host.do("template", name="threads", setup=thread)
    assert caught.value.args[0] == "TemplateError"
    # a fork for itself brings it out; a thread object made before would be dead to 3.13 after it
    later = "import functools, os, _thread, time\n"
    later += "start = functools.partial(_thread.start_new_thread, time.sleep, (600,))\n"
    later += "os.register_at_fork(after_in_child=start)"
    with pytest.raises(Refused, match="thread"):
        host.do("template", name="starts", setup=later)
    with pytest.raises(Refused, match="ZeroDivisionError: division by zero"):
        host.do("template", name="fails", setup="1 / 0")
    with pytest.raises(Refused, match="No module named 'no_such'"):
        host.do("template", name="missing", modules=["no_such"])
    with pytest.raises(Refused, match="ended before it was ready"):
        host.do("template", name="ends", setup="import os; os._exit(3)")


def test_a_template_sees_the_runtime_and_nothing_else(host: Host) -> None:
    setup = """
import os, socket
seen = sorted(os.listdir("/"))
assert not {"home", "proc", "sys", "srv", "mnt", "run"} & set(seen), seen
assert not os.path.exists("/etc/shadow") and not os.path.exists("/proc/self")
assert os.getpid() > 1000 and os.getuid() == 1000
assert sorted(os.environ) == ["BELLJAR_TEMPLATE", "LD_ORIGIN_PATH", "LD_PRELOAD"], os.environ
for family in (socket.AF_INET,):
    with socket.socket(family) as one:
        try:
            one.connect(("127.0.0.1", 22))
        except OSError as error:
            assert error.errno == 101, error  # ENETUNREACH: there is not even a loopback
        else:
            raise AssertionError("connected")
for call in (lambda: os.unshare(0x10000000), lambda: os.setns(0), lambda: os.chroot("/")):
    try:
        call()
    except (PermissionError, AttributeError):
        pass
    else:
        raise AssertionError("done")
open("/tmp/left-by-setup", "w").close()
"""
    host.do("template", name="looks", setup=setup)
    code = "import os; print('left-by-setup' in os.listdir('/tmp'))"
    assert host.run("a", code, template="looks") == "False\n"


def test_a_guest_does_not_see_what_it_was_forked_with(host: Host) -> None:
    code = """
import os, sys
print([name for name in sys.modules if "zygote" in name],
      [os.path.exists("/belljar/" + name) for name in ("zygote.so", "boot.py", "first0.pyc")])
"""
    assert host.run("a", code) == "[] [False, False, False]\n"


def test_a_guest_is_told_that_it_was_forked(host: Host) -> None:
    """Handlers of what was imported run in each guest, and nothing that the fork took is held."""
    setup = """
import os
told = []
os.register_at_fork(after_in_child=lambda: told.append(os.getpid()))
os.told = told
"""
    host.do("template", name="told", setup=setup)
    code = """
import _imp, os, threading
found = []
def other():
    import colorsys  # not loaded yet: takes the import system's locks
    found.append(_imp.lock_held())
thread = threading.Thread(target=other, daemon=True)
thread.start()
thread.join(60)
print(os.told[-1:] == [os.getpid()], _imp.lock_held(), found, flush=True)
"""
    assert host.run("a", code, template="told") == "True False [False]\n"


def test_no_variable_of_a_template_is_in_a_guests_environment(host: Host) -> None:
    """Neither for Python nor for the C library, which `setup` may have told of more."""
    host.do("template", name="sets", setup="import os; os.environ['LEFT_BY_SETUP'] = '1'")
    code = """
import ctypes, os
get = ctypes.CDLL(None).getenv
get.restype = ctypes.c_char_p
print("LEFT_BY_SETUP" in os.environ, os.environ["A"], get(b"LEFT_BY_SETUP"), get(b"A"), flush=True)
"""
    said = host.run("a", code, template="sets", env=[["A", "b"]])
    assert said == "False b None b'b'\n"
