"""What each event needs, and on what."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from belljar.events.catalogue import ROWS
from belljar.events.paths import absolute, covers, is_normal
from belljar.events.targets import (
    BigInt,
    Code,
    Cut,
    Socket,
    TypeName,
    open_rights,
    resolve,
    targets,
)
from belljar.model import Event

SOCKET = TypeName("socket")

CASES = [
    # name, args, rights with targets (cwd is /w)
    ("open", ("a", "r", os.O_RDONLY), [("read", "/w/a")]),
    ("open", ("/a/../b", "rb", 0), [("read", "/b")]),
    ("open", ("a", "w", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), [("write", "/w/a")]),
    ("open", ("a", "a", os.O_WRONLY | os.O_CREAT | os.O_APPEND), [("append", "/w/a")]),
    ("open", ("a", "r+", os.O_RDWR), [("write", "/w/a"), ("read", "/w/a")]),
    ("open", ("a", "wb", 0), [("write", "/w/a")]),
    ("open", ("/a", None, os.O_RDONLY | os.O_DIRECTORY), [("list", "/a")]),
    ("open", ("/a", None, os.O_RDONLY | os.O_CREAT), [("write", "/a")]),
    ("open", ("/a", None, os.O_RDONLY | os.O_TRUNC), [("write", "/a")]),
    ("open", ("mem", None, os.O_RDWR), [("write", None), ("read", None)]),
    ("open", (7, "r", 0), [("read", None)]),
    ("open", (TypeName("PosixPath"), "r", 0), [("read", None)]),
    ("open", (Cut("/long", 4000), "r", 0), [("read", None)]),
    ("open", (b"/caf\xe9", "r", 0), [("read", "/caf\udce9")]),
    ("open", (), [("read", None)]),
    ("os.listdir", (None,), [("list", "/w")]),
    ("os.listdir", (), [("list", None)]),
    ("os.listdir", (3,), [("list", "/w")]),  # what the descriptor stands for
    ("os.rename", ("a", "b", -1, -1), [("write", "/w/b"), ("write", "/w/a")]),
    ("os.rename", ("a", "b", 5, -1), [("write", "/w/b"), ("write", None)]),
    ("os.rename", ("/a", "b", 5, None), [("write", None), ("write", "/a")]),
    ("os.link", ("a", "b", -1, -1), [("write", "/w/b"), ("write", "/w/a")]),
    ("os.symlink", ("/etc/passwd", "b", -1), [("write", "/w/b")]),
    ("os.remove", ("a", 4), [("write", "/w/a")]),  # cwd is that of the descriptor
    ("os.remove", ("a", None), [("write", None)]),
    ("os.remove", ("/x/a", 4), [("write", "/x/a")]),
    ("os.truncate", (9, 0), [("write", "/w")]),
    ("sqlite3.connect", (":memory:",), []),
    ("sqlite3.connect", ("x.db",), [("read", "/w/x.db")]),
    ("sqlite3.connect", ("file:x.db?mode=ro",), [("read", None)]),
    ("socket.connect", (SOCKET, ("127.0.0.1", 80)), [("connect", "127.0.0.1:80")]),
    ("socket.connect", (SOCKET, ("::1", 80, 0, 0)), [("connect", "[::1]:80")]),
    ("socket.connect", (SOCKET, "/run/x"), [("connect", "unix:/run/x")]),
    ("socket.connect", (SOCKET, "x"), [("connect", "unix:/w/x")]),
    ("socket.connect", (SOCKET, b"\0x"), [("connect", "unix:@x")]),
    ("socket.connect", (SOCKET, (1, 2)), [("connect", None)]),
    ("os.rename", ("a", "b", 5, 5), [("write", "/w/b"), ("write", "/w/a")]),
    ("os.rename", ("a", "b", -1, 5), [("write", "/w/b"), ("write", None)]),
    ("os.rename", ("a", "/b", 5, -1), [("write", "/b"), ("write", "/w/a")]),
    ("os.rename", ("/a", "b", -1, 5), [("write", "/w/b"), ("write", "/a")]),
    ("exec", (Code("/f.py", "f", 3),), [("code", "/f.py")]),
    ("exec", (TypeName("code"),), [("code", None)]),
    ("socket.connect", (SOCKET, ("fe80::1", 80, 0, 2)), [("connect", "[fe80::1%2]:80")]),
    ("socket.connect", (SOCKET, ("fe80::1%eth0", 80, 0, 2)), [("connect", "[fe80::1%eth0]:80")]),
    ("socket.connect", (Socket("s", 10, 1), ("", 80)), [("connect", "[::]:80")]),
    ("socket.connect", (Socket("s", 2, 2), ("10.0.0.1", 53)), [("connect", "udp:10.0.0.1:53")]),
    ("socket.sendto", (Socket("s", 2, 1), ("10.0.0.1", 53)), [("connect", "10.0.0.1:53")]),
    ("socket.sendto", (Socket("s", 2, 3), ("10.0.0.1", 0)), [("connect", "udp:10.0.0.1:0")]),
    ("socket.connect", (Socket("s", 1, 1), ("10.0.0.1", 53)), [("connect", None)]),
    ("socket.connect", (Socket("s", 2, 1), "/run/x"), [("connect", None)]),
    ("socket.bind", (Socket("s", 16, 3), (0, 4)), [("bind", "netlink:0:4")]),
    ("socket.bind", (Socket("s", 17, 3), ("eth0", 0x800, 0, 1, b"\1")),
     [("bind", "packet:eth0:0x0800")]),
    ("socket.bind", (Socket("s", 29, 3), ("",)), [("bind", "can:*")]),
    ("socket.bind", (Socket("s", 29, 2), ("can0", 291, 564)), [("bind", "can:can0:291:564")]),
    ("socket.connect", (Socket("s", 31, 1), ("11:22:33:44:55:66", 3)),
     [("connect", "bluetooth:11:22:33:44:55:66:3")]),
    ("socket.bind", (Socket("s", 31, 3), (0,)), [("bind", "bluetooth:0")]),
    ("socket.connect", (Socket("s", 31, 5), b"11:22:33:44:55:66"),
     [("connect", "bluetooth:11:22:33:44:55:66")]),
    ("socket.bind", (Socket("s", 38, 5), ("hash", "sha256")), [("bind", "alg:hash:sha256")]),
    ("socket.connect", (Socket("s", 40, 1), (2, 1024)), [("connect", "vsock:2:1024")]),
    ("socket.connect", (Socket("s", 42, 2), (1, 2)), [("connect", "qipcrtr:1:2")]),
    ("socket.connect", (Socket("s", 30, 5), (1, 2, 3, 4, 5)), [("connect", "tipc:1:2:3:4:5")]),
    ("socket.connect", (Socket("s", 99, 1), ("host", 80)), [("connect", None)]),
    ("socket.connect", (Socket("s", 17, 3), ("eth0", "x")), [("connect", None)]),
    ("socket.connect", (Socket("s", 40, 1), (2, None)), [("connect", None)]),
    ("socket.bind", (SOCKET, ("", 0)), [("bind", "0.0.0.0:0")]),
    ("socket.sendto", (SOCKET, ("10.0.0.1", 53)), [("connect", "udp:10.0.0.1:53")]),
    ("socket.sendmsg", (SOCKET, None), [("connect", None)]),
    ("socket.getaddrinfo", ("a.example", 1, 0, 0, 0), [("resolve", "a.example")]),
    ("socket.getaddrinfo", (None, 1, 0, 0, 0), [("resolve", None)]),
    ("socket.getnameinfo", (("1.2.3.4", 1),), [("resolve", "1.2.3.4")]),
    ("os.system", (b"id",), [("run", "/bin/sh")]),
    ("os.exec", ("x", (), ()), [("run", "/w/x")]),
    ("os.exec", (3, (), ()), [("run", "/w")]),
    ("os.posix_spawn", ("git", (), ()), [("run", "git")]),
    ("subprocess.Popen", ("git", ("git",), None, None), [("run", "git")]),
    ("subprocess.Popen", ("./x", ("x",), "sub", None), [("run", "/w/sub/x")]),
    ("subprocess.Popen", ("./x", ("x",), TypeName("P"), None), [("run", None)]),
    ("_posixsubprocess.fork_exec", ((b"/bin/x",), (), ()), [("run", "/bin/x")]),
    ("_posixsubprocess.fork_exec", ((b"/bin/x", b"/usr/bin/x"), (), ()), [("run", None)]),
    ("import", ("a.b", None, (), (), ()), [("import", "a.b")]),
    ("import", ("a", "/l/a.so", None, None, None), [("import", "a"), ("native", "/l/a.so")]),
    ("ctypes.dlopen", ("libc.so.6",), [("native", "libc.so.6")]),
    ("ctypes.dlopen", ("./x.so",), [("native", "/w/x.so")]),
    ("os.kill", (1, 9), [("signal", "1")]),
    ("os.kill", (BigInt(90), 9), [("signal", None)]),
    ("os.putenv", (b"A", b"b"), [("env", "A")]),
    ("compile", (None, "<x>"), [("code", "<x>")]),
    ("belljar.denied", ("import", "ctypes", ""), [("import", "ctypes")]),
    ("belljar.denied", ("read", "/etc/passwd", ""), []),
    ("os.chdir", ("/x",), []),
    ("my.own.event", ("/x",), []),
]  # fmt: skip


def event_of(name: str, args: tuple[object, ...], cwd: str | None = "/w") -> Event:
    right, target, asked = resolve(name, args, cwd)[0]
    return Event(1, 0, 1, 1, name, args, right, target, asked, (), cwd)


@pytest.mark.parametrize(("name", "args", "needed"), CASES)
def test_an_event_needs_exactly_these_rights(
    name: str, args: tuple[object, ...], needed: list[tuple[str, str | None]]
) -> None:
    assert list(targets(event_of(name, args))) == needed


@pytest.mark.parametrize("cwd", [None, "", "relative"])
def test_without_a_working_directory_a_relative_path_has_no_target(cwd: str | None) -> None:
    assert targets(event_of("open", ("a", "r", 0), cwd)) == (("read", None),)
    assert targets(event_of("open", ("/a", "r", 0), cwd)) == (("read", "/a"),)


def test_asked_is_what_the_code_said() -> None:
    assert event_of("open", ("../x", "r", 0)).asked == "../x"
    assert event_of("open", (Cut("/long", 4000), "r", 0)).asked == "/long…"
    assert event_of("os.system", ("rm -r x",)).asked == "rm -r x"


def test_an_event_without_a_right_still_names_what_it_is_about() -> None:
    event = event_of("os.chdir", ("sub",))
    assert (event.right, event.target) == (None, "/w/sub")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.text()
    | st.builds(TypeName, st.text()) | st.builds(Cut, st.text(), st.integers(0))
    | st.builds(Code, st.text(), st.text(), st.integers())
    | st.builds(Socket, st.text(), st.integers(0, 44), st.integers(0, 5)),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
    max_leaves=8,
)  # fmt: skip


@given(st.sampled_from(ROWS), st.lists(anything, max_size=9), st.none() | st.text())
def test_resolving_never_fails_and_paths_are_absolute(row, args, cwd) -> None:
    event = event_of(row[0], tuple(args), cwd)
    for right, target in targets(event):
        if right in ("read", "write", "append", "list") and target is not None:
            assert is_normal(target)


@given(st.text(alphabet="ab./"), st.sampled_from(["/", "/x", "/x/y"]))
def test_an_absolute_path_is_normal_and_stays_what_it_is(path: str, base: str) -> None:
    whole = absolute(path, base)
    assert is_normal(whole)
    assert absolute(whole, "/other") == whole
    assert ".." not in whole.split("/")
    assert whole == os.path.normpath(os.path.join(base, path)).replace("//", "/")


def test_a_sibling_with_the_same_beginning_is_not_beneath() -> None:
    assert covers("/data", "/data")
    assert covers("/data", "/data/x")
    assert not covers("/data", "/database")
    assert not covers("/data/x", "/data")
    assert covers("/", "/anything")


@given(st.none() | st.text("rwxabt+"), st.integers(0, 1 << 22))
def test_opening_needs_at_least_one_right_and_writing_is_never_called_reading(mode, flags) -> None:
    rights = open_rights(mode, flags)
    assert rights
    if flags & os.O_ACCMODE in (os.O_WRONLY, os.O_RDWR) or flags & (os.O_TRUNC | os.O_CREAT):
        assert rights[0] in ("write", "append")
