"""`belljar.guest.narrow`: what a guest gives up is gone, for its native code as well.

Each right is used before, and tried by the C library after: `extensions="all"` gives ctypes.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import belljar

ENGINES = ("cold", "template")
HELP = """
import ctypes, errno, os
from belljar.guest import narrow
libc = ctypes.CDLL(None, use_errno=True)
def native(name, *args):
    ctypes.set_errno(0)
    plain = [a.encode() if type(a) is str else a for a in args]
    result = getattr(libc, name)(*plain)
    if result >= 0 and name == "open":
        os.close(result)
    return "ok" if result != -1 else errno.errorcode[ctypes.get_errno()]
def said(deed):
    try:
        deed()
    except Exception as error:
        return type(error).__name__ + ": " + str(error)
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("a", "b", "out"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text(name, "utf-8")
    return tmp_path


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[("cold", "visible"), ("template", "hidden")])
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def box(data: Path, pair: tuple[str, str]) -> Iterator[belljar.Sandbox]:
    engine, names = pair
    with belljar.Sandbox(
        read=[str(data)], write=[str(data / "out")], extensions="all", names=names,
        engine=engine, ledger="none",
    ) as one:  # fmt: skip
        one.run(HELP + f"D = {str(data)!r}").check()
        yield one


def inside(box: belljar.Sandbox, source: str) -> Any:
    return box.run(source).check().value


def test_what_is_not_named_can_be_neither_read_nor_written(box: belljar.Sandbox) -> None:
    tries = (
        "[native('open', D + '/a/f', 0), native('open', D + '/b/f', 0),"
        " native('open', D + '/b', 0), native('open', D + '/out/g', 0o101, 0o600),"
        " native('open', D + '/out/f', 1),"
        " native('rename', D + '/out/f', D + '/out/f'), native('mkdir', D + '/out/d%d' % n, 0o700),"
        " native('truncate', D + '/out/f', 1), native('chmod', D + '/out/f', 0o600),"
        " native('utimensat', -100, D + '/out/f', None, 0)]"
    )
    assert inside(box, "n = 1\n" + tries) == ["ok"] * 10
    rows = inside(box, "narrow(read=[D + '/a'])")
    assert {key: row[0] for key, row in rows.items()} == {
        "read": "full", "write": "full", "names": "none",
    }  # fmt: skip
    assert inside(box, "n = 2\n" + tries) == [
        "ok", *["EACCES"] * 7, "EPERM", "EPERM",
    ]  # fmt: skip
    assert inside(box, "said(lambda: open(D + '/b/f'))").startswith("PermissionError: [Errno 13]")
    # what every sandbox has stays: its library, its temporary directory, its devices
    assert inside(
        box,
        "import json, decimal, sqlite3, tempfile, xml.dom.minidom\n"
        "with tempfile.TemporaryFile() as one: one.write(b'x')\n"
        "open('/dev/null').read() + json.dumps(1)",
    ) == "1"  # fmt: skip


def test_it_is_narrowed_again_within_what_is_left(box: belljar.Sandbox) -> None:
    inside(box, "narrow(read=[D + '/a', D + '/b'])")
    assert inside(box, "native('open', D + '/b/f', 0)") == "ok"
    inside(box, "narrow(read=D + '/a/f')")
    assert inside(box, "[native('open', D + p, 0) for p in ('/a/f', '/a', '/b/f')]") == [
        "ok", "EACCES", "EACCES",
    ]  # fmt: skip
    assert "more than the sandbox has" in inside(box, "said(lambda: narrow(read=[D + '/b']))")
    inside(box, "narrow()")
    assert inside(box, "native('open', D + '/a/f', 0)") == "EACCES"


def test_who_asks_for_more_is_told_what_and_keeps_all(box: belljar.Sandbox) -> None:
    asked = (
        "read=['/etc/shadow']", "write=[D + '/a']", "connect=['127.0.0.1:80']", "run=['true']",
        "import_=['os']", "memory='100G'", "processes=2", "bind='127.0.0.1:1'", "append=[D]",
        "read=[D + '/out/../../x']", "devices='/dev/null'", "overlay=D",
    )  # fmt: skip
    for words in asked:
        told = inside(box, f"said(lambda: narrow({words}))")
        assert told.startswith("PermissionError: "), words
        assert "more than the sandbox has" in told
        assert told.split()[1] == words.partition("=")[0].rstrip("_"), told
    wrong = {
        "env=['A']": "TypeError", "memory='much'": "ValueError", "threads=0": "ValueError",
        "read=[D + '/none']": "FileNotFoundError", "read=3": "TypeError", "cpu=-1": "ValueError",
    }  # fmt: skip
    for words, name in wrong.items():
        assert inside(box, f"said(lambda: narrow({words}))").startswith(name + ": "), words
    assert inside(box, "[native('open', D + '/b/f', 0), native('open', D + '/out/f', 1)]") == (
        ["ok", "ok"]
    )
    assert box.status.level("narrowed") == "none"


def test_limits_are_lowered_for_good(data: Path, engine: str) -> None:
    with belljar.Sandbox(extensions="all", engine=engine, ledger="none", memory="512M") as box:
        inside(box, HELP + "x = bytearray(200 << 20); del x")
        rows = inside(box, "narrow(memory='100M', open_files=40, threads=3)")
        assert [rows[key][0] for key in ("memory", "open-files", "threads")] == ["full"] * 3
        assert inside(box, "said(lambda: bytearray(200 << 20))") == "MemoryError: "
        assert inside(box, "import resource\nresource.getrlimit(7)") == (40, 40)
        raising = (
            "[native('setrlimit', n, (ctypes.c_ulong * 2)(1 << 40, 1 << 40)) for n in (2, 7, 9)]"
        )
        assert inside(box, raising) == ["EPERM"] * 3
        more = "import threading\nlock = threading.Event()\nfor _ in range(9):\n" \
               "    threading.Thread(target=lock.wait, daemon=True).start()"  # fmt: skip
        assert "can't start new thread" in str(box.run(more).error)
        assert "more" in inside(box, "said(lambda: narrow(memory='200M'))")


def test_a_limit_below_what_is_in_use_is_refused(engine: str) -> None:
    with belljar.Sandbox(engine=engine, ledger="none", memory="512M") as box:
        source = "from belljar.guest import narrow\nx = bytearray(200 << 20)\nnarrow(memory='100M')"
        assert "more than this is in use already" in str(box.run(source).error)
        assert box.eval("len(bytearray(200 << 20))") == 200 << 20
        source = "import os\nfd = os.dup2(1, 50)\nnarrow(open_files=40)"
        assert "more than this is in use already" in str(box.run(source).error)


def test_the_hosts_clocks_and_counts_are_lowered(engine: str) -> None:
    with belljar.Sandbox(engine=engine, ledger="none", output="1M") as box:
        box.run("from belljar.guest import narrow\nnarrow(wall='1s', output='1K', cpu=2)").check()
        assert box.status.level("narrowed") == "partial"
        assert box.run("print('x' * 5000)").ended_by == "output"
    with belljar.Sandbox(engine=engine, ledger="none") as box:
        box.run("from belljar.guest import narrow\nnarrow(wall='1s')").check()
        assert box.run("import time; time.sleep(60)").ended_by == "wall"
    with belljar.Sandbox(engine=engine, ledger="none") as box:
        box.run("from belljar.guest import narrow\nnarrow(cpu=1)").check()
        assert box.run("while True: pass").ended_by == "cpu"


@pytest.fixture
def servers() -> Iterator[list[int]]:
    made = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    yield [one.getsockname()[1] for one in made]
    for one in made:
        one.close()


CONNECT = """
import struct
def connect(port):
    fd = libc.socket(2, 1, 0)
    if fd < 0:
        return "no socket"
    there = struct.pack("=HHI8x", 2, (port >> 8) | (port & 255) << 8, 0x0100007F)
    try:
        return native("connect", fd, there, 16)
    finally:
        libc.close(fd)
"""


def test_addresses_are_given_up_one_by_one_and_all(servers: list[int], engine: str) -> None:
    first, second = servers
    with belljar.Sandbox(
        connect=[f"127.0.0.1:{port}" for port in servers], extensions="all", engine=engine,
        ledger="none",
    ) as box:  # fmt: skip
        inside(box, HELP + CONNECT)
        tries = f"[connect({first}), connect({second})]"
        assert inside(box, tries) == ["ok", "ok"]
        rows = inside(box, f"narrow(connect=['127.0.0.1:{second}'])")
        assert rows["connect"] == ("full", "keeper", "")
        assert inside(box, tries) == ["EACCES", "ok"]
        assert inside(box, "narrow()")["connect"] == ("full", "seccomp, keeper", "")
        assert inside(box, tries) == ["no socket", "no socket"]
        assert inside(box, "import asyncio\nasync def f(): return 1\nasyncio.run(f())") == 1


def test_a_listener_is_given_up(engine: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    bind = f"127.0.0.1:{port}"
    with belljar.Sandbox(bind=bind, connect="127.0.0.1:9", engine=engine, ledger="none") as box:
        listen = f"import socket\nsocket.create_server(('127.0.0.1', {port})).close()"
        assert box.run(listen).error is None
        rows = box.run("from belljar.guest import narrow\nnarrow(connect='127.0.0.1:9')").value
        assert rows["bind"] == ("full", "keeper", "")
        assert box.run(listen).error.type_name == "PermissionError"


def test_what_is_open_stays_open_and_is_told(box: belljar.Sandbox) -> None:
    rows = inside(box, "file = open(D + '/b/f')\nnarrow(read=[D + '/a'])")
    assert rows["read"][0] == "partial"
    assert inside(box, "str(file.fileno())") in rows["read"][2]
    assert inside(box, "file.read()") == "b"


def test_other_threads_keep_it_from_anything(box: belljar.Sandbox) -> None:
    inside(box, "import threading\nstop = threading.Event()\n"
                "one = threading.Thread(target=stop.wait)\none.start()")  # fmt: skip
    assert "other threads run" in inside(box, "said(narrow)")
    assert inside(box, "native('open', D + '/b/f', 0)") == "ok"
    inside(box, "stop.set(); one.join()")
    inside(box, "narrow()")
    assert inside(box, "native('open', D + '/b/f', 0)") == "EACCES"


def test_children_come_after_it_and_have_no_more(data: Path, engine: str) -> None:
    with belljar.Sandbox(
        read=[str(data)], processes=4, extensions="all", engine=engine, ledger="none"
    ) as box:
        inside(box, HELP + f"D = {str(data)!r}")
        inside(
            box, "r, w = os.pipe()\npid = os.fork()\nif not pid:\n    os.read(r, 1); os._exit(0)"
        )
        assert "processes that it started are there" in inside(box, "said(narrow)")
        inside(box, "os.write(w, b'x'); os.waitpid(pid, 0); os.close(r); os.close(w)")
        inside(box, "narrow(read=[D + '/a'], processes=4)")
        child = (
            "r, w = os.pipe()\nif not os.fork():\n"
            "    told = [native('open', D + p, 0) for p in ('/a/f', '/b/f')]\n"
            "    said(lambda: narrow()); told.append(native('open', D + '/a/f', 0))\n"
            "    os.write(w, ' '.join(told).encode()); os._exit(0)\n"
            "os.wait(); os.read(r, 99).decode()"
        )
        assert inside(box, child) == "ok EACCES EACCES"
        assert inside(box, "native('open', D + '/a/f', 0)") == "ok"  # the child alone
        assert inside(box, "narrow(read=[D + '/a'], processes=1)")["processes"][1] == "seccomp"
        assert inside(box, "[native(name) for name in ('fork', 'vfork')]") == ["EPERM"] * 2


def test_programs_are_given_up(data: Path) -> None:
    with belljar.Sandbox(run=["true", "echo"], extensions="all", ledger="none") as box:
        inside(box, HELP + "import subprocess")
        call = "[said(lambda: subprocess.run([p], check=True)) for p in ('true', 'echo')]"
        assert inside(box, call) == [None, None]
        inside(box, "narrow(run=['true'])")
        assert [str(one).partition(":")[0] for one in inside(box, call)] == [
            "None", "PermissionError",
        ]  # fmt: skip
        assert inside(box, "narrow()")["run"][1] == "seccomp, Landlock"
        assert inside(box, "native('execve', '/usr/bin/true', None, None)") == "EACCES"


def test_modules_are_given_up_by_a_window(engine: str) -> None:
    with belljar.Sandbox(import_=["ctypes", "mmap"], engine=engine, ledger="none") as box:
        assert box.run("import ctypes, mmap").error is None
        rows = box.run("from belljar.guest import narrow\nnarrow(import_=['mmap'])").value
        assert rows["import"][0] == "window"
        assert box.run("import mmap").error is None
        assert box.run("import ctypes").error.type_name == "ImportError"


def test_its_sandboxes_have_no_more_either(data: Path, engine: str) -> None:
    grants = {"read": [str(data / "a"), str(data / "b")], "memory": "512M"}
    with belljar.Sandbox(**grants, engine=engine, ledger="none") as box:
        box.run(
            f"from belljar.guest import narrow, Sandbox\nA, B = {grants['read']!r}\n"
            "wide = Sandbox(read=[A, B])\nless = Sandbox(read=[A])\nnarrow(read=[A])"
        ).check()
        ended = box.run("wide.eval('1')").error
        assert ended is not None
        assert box.eval("less.eval('open(%r).read()' % (A + '/f'))") == "a"
        more = box.run("Sandbox(read=[B])").error
        assert more is not None
        assert more.type_name == "PermissionError"
        # one of its own narrows itself too, and with it what that one may have
        deeper = (
            "less.run('from belljar.guest import narrow, Sandbox\\nnarrow()')\n"
            "less.run('Sandbox(read=[%r])' % A)['error']"
        )
        assert box.run(deeper).check().value[0] == "PermissionError"


def test_the_record_and_the_status_tell_of_it(data: Path, tmp_path: Path, engine: str) -> None:
    with belljar.Sandbox(
        read=[str(data)], engine=engine, ledger=str(tmp_path / "ledger"), names="visible"
    ) as box:
        result = box.run(f"from belljar.guest import narrow\nnarrow(read=[{str(data / 'a')!r}])")
        (event,) = [one for one in result.events if one.name == "belljar.narrow"]
        assert event.args == (f"read={data / 'a'}", "read full (Landlock); names none")
        assert not [one for one in result.events if one.name == "belljar.open"]
        (row,) = [one for one in box.status.protections if one.name == "narrowed"]
        assert row.level == "partial"
        assert "told by the guest" in row.by
        assert str(data / "a") in row.reason
        assert result.receipt is not None
        assert result.receipt.level("narrowed") == "none"  # what was probed at the start
