"""Granted listening: ordinary servers work; only granted ports, only named peers, only so many."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread

from nets import Echo, Ran, free_port, run
from tiers import Tier

SERVER = r"""
import asyncio, http.server, socket, sys, threading
port, path = int(sys.argv[1]), sys.argv[2]

def ready(): open(path, "a").write("x")

with socket.create_server(("127.0.0.1", port)) as s:
    print(s.getsockname()[1] == port)
    ready()
    peer, address = s.accept()
    print(address[0], peer.getpeername() == address, peer.gettimeout(), peer.get_inheritable())
    peer.sendall(peer.recv(100).upper())
    peer.close()

async def serve():
    async def one(reader, writer):
        writer.write((await reader.read(100)).title())
        writer.close()
        done.set()
    done = asyncio.Event()
    server = await asyncio.start_server(one, "127.0.0.1", port)
    ready()
    await asyncio.wait_for(done.wait(), 10)
    server.close()
    await server.wait_closed()
asyncio.run(serve())

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"page")
    def log_message(self, *args): pass
with http.server.HTTPServer(("127.0.0.1", port), Handler) as web:
    ready()
    web.timeout = 10
    web.handle_request()
"""


def mark_of(tier: Tier) -> Path:
    """An empty file where the guest may write: it tells when it listens."""
    mark = tier.home / "out" / "mark"
    mark.parent.mkdir(exist_ok=True)
    tier.own(mark.parent)
    mark.write_bytes(b"")
    return tier.own(mark)


def wait_for(mark: Path, count: int) -> None:
    end = time.monotonic() + 28
    while len(mark.read_bytes()) < count and time.monotonic() < end:
        time.sleep(0.01)


def clients(port: int, mark: Path, words: list[bytes], heard: list[bytes]) -> None:
    """Talk to the guest's servers, each when it is ready."""
    for count, word in enumerate(words, 1):
        wait_for(mark, count)
        with socket.create_connection(("127.0.0.1", port), 10) as link:
            link.sendall(word)
            heard.append(link.recv(1000))


def talk(
    tier: Tier, flags: list[str], code: str, port: int, words: list[bytes]
) -> tuple[Ran, list]:
    mark = mark_of(tier)
    heard: list[bytes] = []
    thread = Thread(target=clients, args=(port, mark, words, heard))
    thread.start()
    done = run(tier, [*flags, "--write", str(mark.parent)], code, str(port), str(mark))
    thread.join()
    return done, heard


def test_ordinary_servers_listen_on_a_granted_port(tier: Tier) -> None:
    port = free_port()
    get = b"GET / HTTP/1.0\r\n\r\n"
    done, heard = talk(
        tier, ["--bind", f"127.0.0.1:{port}"], SERVER, port, [b"plain", b"asyncio", get]
    )
    assert done.out.splitlines() == ["True", "127.0.0.1 True None False"], done.err
    assert heard[:2] == [b"PLAIN", b"Asyncio"]
    assert heard[2].startswith(b"HTTP/1.0 200 OK")
    assert done.result["denials"] == []
    rows = done.result["receipt"]["protections"]
    assert (rows["network"]["level"], rows["connections"]["level"]) == ("full", "full")


def test_a_server_may_leave_the_port_to_the_host(tier: Tier) -> None:
    code = "import socket; print(socket.create_server(('127.0.0.1', 0)).getsockname()[1] > 0)"
    done = run(tier, ["--bind", "127.0.0.1:0"], code)
    assert done.out == "True\n", done.err


REFUSED = r"""
import ctypes, socket, struct, sys
granted, other, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
libc = ctypes.CDLL(None, use_errno=True)
def in4(port, host="127.0.0.1", family=socket.AF_INET):
    return struct.pack("=H", family) + struct.pack("!H", port) + socket.inet_aton(host) + bytes(8)
def c(name, *args):
    if getattr(libc, name)(*args) < 0: raise OSError(ctypes.get_errno(), name)
def new(family=socket.AF_INET, kind=socket.SOCK_STREAM): return socket.socket(family, kind)
def bound():
    s = new()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", granted))
    return s
deeds = {
    "port": lambda: new().bind(("127.0.0.1", other)),
    "wildcard": lambda: new().bind(("0.0.0.0", granted)),
    "address": lambda: new().bind(("127.0.0.2", granted)),
    "ephemeral": lambda: new().bind(("127.0.0.1", 0)),
    "family": lambda: new(socket.AF_INET6).bind(("::", granted)),
    "unbound": lambda: new().listen(),
    "unspec": lambda: c("bind", new().fileno(), in4(granted, family=0), 16),
    "short": lambda: c("bind", new().fileno(), in4(granted), 8),
    "memory": lambda: c("bind", new().fileno(), ctypes.c_void_p(8), 16),
    "datagram": lambda: new(kind=socket.SOCK_DGRAM).bind(("127.0.0.1", granted)),
    "unix": lambda: new(socket.AF_UNIX).bind(out + "/sock"),
    "abstract": lambda: new(socket.AF_UNIX).bind("\0name"),
    "connect": lambda: bound().connect(("127.0.0.1", other)),
    "accept-unbound": lambda: new().accept(),
    "accept-early": lambda: bound().accept(),
    "accept-file": lambda: c("accept", 1, None, None),
    "accept-flags": lambda: c("accept4", bound().fileno(), None, None, 0x40000000),
}
for name, deed in deeds.items():
    try:
        deed()
        print("worked:", name)
    except OSError:
        pass
s = bound()
s.listen(0)
c("listen", s.fileno(), 1000000)
s.setblocking(False)
try: s.accept()
except BlockingIOError: print("would block")
"""


def test_nothing_else_is_listened_on(tier: Tier) -> None:
    port = free_port()
    out = tier.home / "out"
    out.mkdir(exist_ok=True)
    tier.own(out)
    with Echo() as other:
        flags = ["--bind", f"127.0.0.1:{port}", "--import", "ctypes", "--write", str(out)]
        done = run(tier, flags, REFUSED, str(port), str(other.port), str(out))
        assert other.heard == []
    assert done.out == "would block\n", done.err
    assert not (out / "sock").exists()


PEERS = r"""
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as s:
    s.settimeout(20)
    open(sys.argv[2], "a").write("x")
    peer, address = s.accept()
    print(address[0], peer.recv(10))
"""


def test_only_named_peers_come_in(tier: Tier) -> None:
    port = free_port()
    mark = mark_of(tier)
    refused: list[str] = []

    def knock() -> None:
        wait_for(mark, 1)
        for host, word in (("127.0.0.3", b"stranger"), ("127.0.0.2", b"friend")):
            with socket.socket() as link:
                link.settimeout(10)
                link.bind((host, 0))
                try:
                    link.connect(("127.0.0.1", port))
                    link.sendall(word)
                    refused.append("" if link.recv(10) == b"" else "answered")
                except ConnectionError:
                    refused.append("reset")

    thread = Thread(target=knock)
    thread.start()
    flags = ["--bind", f"127.0.0.1:{port}", "--accept-from", "127.0.0.2", "--write"]
    done = run(tier, [*flags, str(mark.parent)], PEERS, str(port), str(mark))
    thread.join()
    assert done.out == "127.0.0.2 b'friend'\n", done.err
    assert refused == ["reset", ""]


def test_accepting_from_nobody_in_particular_needs_a_listener(tier: Tier) -> None:
    done = run(tier, ["--accept-from", "10.0.0.0/8"], "print('ran')")
    assert (done.status, done.out) == (125, "")
    assert "accept-from" in done.err


COUNTED = r"""
import os, socket, sys
address = ("127.0.0.1", int(sys.argv[1]))
kept = []
try:
    while len(kept) < 50: kept.append(socket.create_connection(address, 10))
except OSError as error:
    print(len(kept), error.errno == 105)
kept.pop().close()
kept.append(socket.create_connection(address, 10))
other = os.dup(kept[0].fileno())
kept.pop(0).close()
try:
    kept.append(socket.create_connection(address, 10))
except OSError:
    print("a copy keeps it")
os.close(other)
kept.append(socket.create_connection(address, 10))
for s in kept: s.close()
for _ in range(40): socket.create_connection(address, 10).close()
print("one after the other")
"""


def test_connections_are_counted_while_they_last(tier: Tier) -> None:
    with Echo() as echo:
        flags = ["--connect", f"127.0.0.1:{echo.port}", "--connections", "5"]
        done = run(tier, flags, COUNTED, str(echo.port))
    assert done.out.splitlines() == ["5 True", "a copy keeps it", "one after the other"], done.err


CROWD = r"""
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as s:
    s.settimeout(20)
    open(sys.argv[2], "a").write("x")
    kept = [s.accept()[0] for _ in range(2)]
    try:
        s.accept()
    except OSError as error:
        print(error.errno == 105)
    kept.pop().close()
    print(s.accept()[0].recv(10))
"""


def test_accepted_connections_are_counted_too(tier: Tier) -> None:
    port = free_port()
    mark = mark_of(tier)

    def crowd() -> None:
        wait_for(mark, 1)
        links = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(3)]
        links[2].sendall(b"third")
        for link in links:
            link.settimeout(10)
            with suppress(ConnectionError):
                link.recv(10)
            link.close()

    thread = Thread(target=crowd)
    thread.start()
    flags = ["--bind", f"127.0.0.1:{port}", "--connections", "2", "--write", str(mark.parent)]
    done = run(tier, flags, CROWD, str(port), str(mark))
    thread.join()
    assert done.out == "True\nb'third'\n", done.err
