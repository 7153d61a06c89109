"""Granted paths for Unix listeners: ordinary servers, in the directory that was granted."""

from __future__ import annotations

import os
import select
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import pytest
from nets import run
from test_network_listen import mark_of, wait_for
from tiers import Tier


@pytest.fixture
def place(tier: Tier) -> Iterator[Path]:
    folder = tier.home / "listen"
    folder.mkdir()
    tier.own(folder)
    yield folder
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


LOCAL = r"""
import asyncio, os, socket, socketserver, sys
path, mark = sys.argv[1:3]
def ready(): open(mark, "a").write("x")
class Handler(socketserver.StreamRequestHandler):
    def handle(self): self.wfile.write(self.rfile.readline().upper())
with socketserver.UnixStreamServer(path, Handler) as server:
    ready()
    server.handle_request()
async def main():
    async def one(reader, writer):
        writer.write((await reader.readline()).title())
        writer.close()
        done.set()
    done = asyncio.Event()
    server = await asyncio.start_unix_server(one, path)
    ready()
    await asyncio.wait_for(done.wait(), 20)
    server.close()
asyncio.run(main())
print(os.path.exists(path))
"""


CALL = """
import socket, sys, time
end = time.monotonic() + 20
with socket.socket(socket.AF_UNIX) as link:
    link.settimeout(20)
    while True:
        try:
            link.connect(sys.argv[1])
            break
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > end:
                raise
            time.sleep(0.01)
    link.sendall(sys.argv[2].encode())
    print(link.recv(100).decode(), end="")
"""


def call(tier: Tier, path: Path, word: str) -> str:
    """What the guest's server says to the tier's user."""
    words = [tier.python, "-I", "-S", "-c", CALL, str(path), word]
    done = subprocess.run(
        words, **tier.identity, cwd="/", stdout=subprocess.PIPE, text=True, check=False
    )
    return done.stdout


def test_ordinary_servers_listen_at_a_granted_path(tier: Tier, place: Path) -> None:
    path = place / "app.sock"
    heard: list[object] = []

    def others(mark: Path) -> None:
        for count, word in enumerate(("one\n", "two\n"), 1):
            wait_for(mark, count)
            if count == 1:  # once it has answered, the next server makes it anew
                heard.append(stat.S_IMODE(path.stat().st_mode))
            heard.append(call(tier, path, word))

    for _ in range(2):  # the second run is not in the way of the first's socket
        mark = mark_of(tier)
        thread = Thread(target=others, args=(mark,))
        thread.start()
        flags = ["--bind", f"unix:{path}", "--write", str(mark.parent)]
        done = run(tier, flags, LOCAL, str(path), str(mark))
        thread.join()
        # without a view of its own it sees the file, and asyncio tries to remove it first
        assert done.out == f"{tier.kind == 'landlock'}\n", done.err
        assert heard == [0o600, "ONE\n", "Two\n"]
        if tier.kind != "landlock":
            assert done.result["denials"] == []
        assert not path.exists()
        heard.clear()


def test_a_socket_that_was_left_behind_is_replaced_and_a_live_one_is_not(
    tier: Tier, place: Path
) -> None:
    code = "import socket, sys; s = socket.socket(1); s.bind(sys.argv[1]); s.listen(); print('ok')"
    path = place / "app.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
        tier.own(path)
        left.listen()
        live = run(tier, ["--bind", f"unix:{path}"], code, str(path))
        assert "Address already in use" in live.err
        assert path.exists()
    done = run(tier, ["--bind", f"unix:{path}"], code, str(path))
    assert done.out == "ok\n", done.err


AGAIN = r"""
import socket, sys
for path in sys.argv[1:]:
    for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_STREAM):
        with socket.socket(socket.AF_UNIX, kind) as s:
            try: s.bind(path)
            except OSError as error: print(error.errno)
"""
KINDS = {
    "stream": socket.SOCK_STREAM,
    "packets": socket.SOCK_SEQPACKET,
    "datagrams": socket.SOCK_DGRAM,
    "not listening": socket.SOCK_STREAM,
}


def test_whoever_lives_at_the_path_is_not_disturbed(tier: Tier, place: Path) -> None:
    """Nor taken for dead, where it does not listen yet."""
    flags, paths, others = [], [], []
    with ExitStack() as stack:
        for number, (name, kind) in enumerate(KINDS.items()):
            path = place / f"{number}.sock"
            other = stack.enter_context(socket.socket(socket.AF_UNIX, kind))
            other.bind(str(path))
            tier.own(path)
            if name in ("stream", "packets"):
                other.listen()
            flags += ["--bind", f"unix:{path}"]
            paths.append(path)
            others.append(other)
        before = [path.stat().st_ino for path in paths]
        done = run(tier, flags, AGAIN, *map(str, paths))
        assert done.out.split() == ["98"] * 12, done.err
        assert [path.stat().st_ino for path in paths] == before
        assert not select.select(others[:3], [], [], 0)[0]  # nobody came


ELSEWHERE = r"""
import ctypes, os, socket, sys
path, folder = sys.argv[1], os.path.dirname(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
def c(name, *args):
    if getattr(libc, name)(*args) < 0: raise OSError(ctypes.get_errno(), name)
def raw(text): return b"\x01\x00" + text
def new(kind=socket.SOCK_STREAM): return socket.socket(socket.AF_UNIX, kind)
deeds = {
    "other": lambda: new().bind(folder + "/other.sock"),
    "dotted": lambda: new().bind(folder + "/./app.sock"),
    "beneath": lambda: new().bind(path + "/x"),
    "abstract": lambda: new().bind("\0" + path),
    "nameless": lambda: c("bind", new().fileno(), raw(b""), 2),
    "datagrams": lambda: new(socket.SOCK_DGRAM).bind(path),
    "inet": lambda: socket.socket().bind(("127.0.0.1", 0)),
    "as inet": lambda: c("bind", socket.socket().fileno(), raw(path.encode()), 2 + len(path)),
    "connect": lambda: new().connect(folder + "/host.sock"),
}
for name, deed in deeds.items():
    try:
        deed()
        print("worked:", name)
    except OSError:
        pass
s = new()
s.bind(path)
for deed in (lambda: s.connect(folder + "/host.sock"), lambda: s.bind(folder + "/other.sock")):
    try:
        deed()
        print("worked later")
    except OSError:
        pass
print(len(os.listdir(folder)))
"""


def test_a_granted_path_is_no_other(tier: Tier, place: Path) -> None:
    path = place / "app.sock"
    with socket.socket(socket.AF_UNIX) as host:
        host.bind(str(place / "host.sock"))
        os.chmod(place / "host.sock", 0o666)
        host.listen()
        host.setblocking(False)
        flags = ["--bind", f"unix:{path}", "--import", "ctypes", "--write", str(place)]
        done = run(tier, [*flags, "--read", str(place)], ELSEWHERE, str(path))
        assert done.out == "2\n", done.err
        with pytest.raises(BlockingIOError):
            host.accept()
    assert sorted(one.name for one in place.iterdir()) == ["host.sock"]


def test_the_socket_is_made_in_the_directory_that_was_granted(tier: Tier, place: Path) -> None:
    (place / "file").write_text("")
    for path, why in (
        (place / "none" / "app.sock", "No such file"),
        (place / "file", "is there that is no socket"),
        (place / ("x" * 110), "too long"),
    ):
        done = run(tier, ["--bind", f"unix:{path}"], "print('ran')")
        assert (done.status, done.out, len(done.err.splitlines())) == (125, "", 1)
        assert why in done.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_other_users_are_turned_away_whatever_the_files_mode(tier: Tier, place: Path) -> None:
    if tier.demoted:
        pytest.skip("that user is `nobody`, who in a user namespace is everybody unknown")
    code = """
import os, socket, sys
s = socket.socket(1)
s.bind(sys.argv[1])
s.listen()
open(sys.argv[2], "a").write("x")
s.settimeout(20)
peer, _ = s.accept()
print(peer.recv(10))
"""
    path = place / "app.sock"
    refused: list[object] = []

    def others(mark: Path) -> None:
        wait_for(mark, 1)
        path.chmod(0o666)
        child = os.fork()
        if child == 0:
            try:
                os.setresgid(12345, 12345, 12345)
                os.setresuid(12345, 12345, 12345)
                with socket.socket(socket.AF_UNIX) as link:
                    link.connect(f"/proc/self/fd/{at}")
                    link.settimeout(10)
                    link.send(b"stranger")
                    os._exit(0 if link.recv(10) == b"" else 1)
            except ConnectionError:
                os._exit(0)
            except BaseException:
                os._exit(2)
        refused.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(path))
            link.sendall(b"root")
            link.settimeout(10)
            link.recv(10)

    mark = mark_of(tier)

    def begin() -> None:
        nonlocal at
        wait_for(mark, 1)
        at = os.open(path, os.O_PATH)
        others(mark)
        os.close(at)

    at = -1
    thread = Thread(target=begin)
    thread.start()
    flags = ["--bind", f"unix:{path}", "--write", str(mark.parent)]
    done = run(tier, flags, code, str(path), str(mark))
    thread.join()
    assert done.out == "b'root'\n", done.err
    assert refused == [0]
