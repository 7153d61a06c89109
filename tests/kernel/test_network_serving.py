"""Granted UDP servers: ordinary ones work, for those who may come, and write to nobody first."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
from nets import Ran, run, v6
from test_network_listen import mark_of, wait_for
from tiers import Tier

HERE = "127.0.0.1"


def free(host: str = HERE) -> int:
    """A UDP port that nobody has right now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((host, 0))
        return s.getsockname()[1]


def ask(host: str, port: int, word: bytes, own: str = "", tries: int = 40) -> bytes:
    """What a server answers to a datagram from the address `own`; b"" when it does not."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.25)
        s.bind((own or host, 0))
        s.connect((host, port))
        for _ in range(tries):
            try:
                s.send(word)
                return s.recv(1000)
            except (TimeoutError, ConnectionRefusedError):
                continue
    return b""


def serve(
    tier: Tier, flags: list[str], code: str, port: int, others: Callable[[Path], None]
) -> Ran:
    """Run a server in the guest and `others` beside it, with the mark that says it is ready."""
    mark = mark_of(tier)
    thread = Thread(target=others, args=(mark,))
    thread.start()
    done = run(tier, [*flags, "--write", str(mark.parent)], code, str(port), str(mark))
    thread.join()
    return done


SERVERS = r"""
import asyncio, socket, socketserver, sys
port, path = int(sys.argv[1]), sys.argv[2]
host = HOST
def ready(): open(path, "a").write("x")

class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        data, link = self.request
        link.sendto(data.upper(), self.client_address)
class Server(socketserver.UDPServer):
    address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
with Server((host, port), Handler) as server:
    print(server.server_address[:2] == (host, port))
    ready()
    server.handle_request()

class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport): self.transport = transport
    def datagram_received(self, data, peer):
        self.transport.sendto(data.title(), peer)
        done.set_result((peer[0], len(data)))
async def main():
    global done
    done = asyncio.get_running_loop().create_future()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        Echo, local_addr=(host, port))
    ready()
    print(await asyncio.wait_for(done, 20))
    transport.close()
asyncio.run(main())

with socket.socket(Server.address_family, socket.SOCK_DGRAM) as s:  # by hand, one peer
    s.bind((host, port))
    s.settimeout(20)
    ready()
    data, flags, _, peer = s.recvmsg(100)[:4]
    s.connect(peer)
    s.send(data[::-1])
    s.sendmsg([b"more"])
    print(s.getpeername() == peer)
"""


@pytest.mark.parametrize("host", [HERE, "::1"])
def test_ordinary_datagram_servers_work_on_a_granted_port(tier: Tier, host: str) -> None:
    if ":" in host and not v6():
        pytest.skip("no IPv6 on loopback")
    port = free(host)
    heard: list[bytes] = []

    def others(mark: Path) -> None:
        for count, word in enumerate((b"one", b"two", b"three"), 1):
            wait_for(mark, count)
            heard.append(ask(host, port, word))

    shown = f"[{host}]" if ":" in host else host
    code = SERVERS.replace("HOST", repr(host))
    if tier.kind == "landlock":
        done = run(tier, ["--bind", f"udp:{shown}:{port}"], code, str(port))
        assert (done.status, done.out, len(done.err.splitlines())) == (125, "", 1)
        assert "UDP needs a network namespace" in done.err
        return
    done = serve(tier, ["--bind", f"udp:{shown}:{port}"], code, port, others)
    assert done.out.splitlines() == ["True", f"('{host}', 3)", "True"], done.err
    assert heard == [b"ONE", b"Two", b"eerht"]
    assert done.result["denials"] == []
    rows = done.result["receipt"]["protections"]
    assert (rows["network"]["level"], rows["connections"]["level"]) == ("full", "full")


STEADY = r"""
import socket, sys
with socket.socket(FAMILY, socket.SOCK_DGRAM) as s:
    s.bind((HOST, int(sys.argv[1])))
    s.settimeout(20)
    open(sys.argv[2], "a").write("x")
    while True:
        data, peer = s.recvfrom(100)
        s.sendto(data + b" " + peer[0].encode(), peer)
        if data == b"end": break
print("ended")
"""


def steady(host: str) -> str:
    family = "socket.AF_INET6" if ":" in host else "socket.AF_INET"
    return STEADY.replace("HOST", repr(host)).replace("FAMILY", family)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_server_for_all_addresses_hears_both_kinds(tier: Tier, host: str) -> None:
    if tier.kind == "landlock" or (":" in host and not v6()):
        pytest.skip("no UDP there")
    port = free()
    heard: list[bytes] = []

    def others(mark: Path) -> None:
        wait_for(mark, 1)
        heard.append(ask(HERE, port, b"four"))
        if ":" in host:
            heard.append(ask("::1", port, b"six"))
        ask(HERE, port, b"end")

    shown = f"[{host}]" if ":" in host else host
    done = serve(tier, ["--bind", f"udp:{shown}:{port}"], steady(host), port, others)
    assert done.out == "ended\n", done.err
    mapped = b"::ffff:" if ":" in host else b""
    assert heard == [
        b"four " + mapped + b"127.0.0.1",
        *([b"six ::1"] if ":" in host else []),
    ]


SEVERAL = r"""
import select, socket, sys
port, servers = int(sys.argv[1]), []
for family, host in HOSTS:
    s = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, V6ONLY)
    s.bind((host, port))
    servers.append(s)
open(sys.argv[2], "a").write("x")
left = COUNT
while left:
    for s in select.select(servers, [], [], 20)[0]:
        data, peer = s.recvfrom(100)
        s.sendto(data + b" by %d" % servers.index(s), peer)
        left -= 1
for s in servers: s.close()
"""


def answers(port: int, words: list[tuple[str, bytes]]) -> list[tuple[bytes, str]]:
    """All asked by one and the same peer, one after the other: what is said, and from where."""
    heard = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((HERE, 0))
        one.settimeout(20)
        for host, word in words:
            one.sendto(word, (host, port))
            data, peer = one.recvfrom(100)
            heard.append((data, peer[0]))
    return heard


@pytest.mark.parametrize("hosts", [("127.0.0.1", "127.0.0.2"), ("0.0.0.0",), ("::",)])
def test_answers_leave_from_the_address_that_was_asked(tier: Tier, hosts: tuple[str, ...]) -> None:
    if tier.kind == "landlock" or ("::" in hosts and not v6()):
        pytest.skip("no UDP there")
    port = free("0.0.0.0")
    asked = [("127.0.0.1", b"one"), ("127.0.0.2", b"two"), ("127.0.0.1", b"three")]
    heard: list[tuple[bytes, str]] = []

    def others(mark: Path) -> None:
        wait_for(mark, 1)
        heard.extend(answers(port, asked))

    flags = []
    for host in hosts:
        flags += ["--bind", f"udp:[{host}]:{port}" if ":" in host else f"udp:{host}:{port}"]
    named = ", ".join(f"(socket.AF_INET{6 if ':' in one else ''}, {one!r})" for one in hosts)
    code = SEVERAL.replace("HOSTS", f"[{named}]").replace("V6ONLY)", "0)").replace("COUNT", "3")
    serve(tier, flags, code, port, others)
    by = [0, 1, 0] if len(hosts) > 1 else [0, 0, 0]
    said = zip(asked, by, strict=True)
    assert heard == [(b"%s by %d" % (word, which), host) for (host, word), which in said]


def test_only_named_peers_are_heard(tier: Tier) -> None:
    if tier.kind == "landlock":
        pytest.skip("no UDP there")
    port = free()
    heard: list[bytes] = []

    def others(mark: Path) -> None:
        wait_for(mark, 1)
        heard.append(ask(HERE, port, b"stranger", "127.0.0.3", tries=3))
        heard.append(ask(HERE, port, b"friend", "127.0.0.2"))
        ask(HERE, port, b"end", "127.0.0.2")

    flags = ["--bind", f"udp:{HERE}:{port}", "--accept-from", "127.0.0.2"]
    done = serve(tier, flags, steady(HERE), port, others)
    assert done.out == "ended\n", done.err
    assert heard == [b"", b"friend 127.0.0.2"]


def test_many_peers_take_turns_within_the_limit(tier: Tier) -> None:
    if tier.kind == "landlock":
        pytest.skip("no UDP there")
    port = free()
    heard: list[bytes] = []

    def others(mark: Path) -> None:
        wait_for(mark, 1)
        heard.extend(ask(HERE, port, b"peer") for _ in range(30))
        ask(HERE, port, b"end")

    flags = ["--bind", f"udp:{HERE}:{port}", "--connections", "3"]
    done = serve(tier, flags, steady(HERE), port, others)
    assert done.out == "ended\n", done.err
    assert heard == [b"peer 127.0.0.1"] * 30


REFUSED = r"""
import ctypes, socket, struct, sys
granted, taken, silent = (int(a) for a in sys.argv[1].split(","))
def new(family=socket.AF_INET, kind=socket.SOCK_DGRAM): return socket.socket(family, kind)
def bound():
    s = new()
    s.bind(("127.0.0.1", granted))
    return s
deeds = {
    "other port": lambda: new().bind(("127.0.0.1", granted ^ 1)),
    "port of its choice": lambda: new().bind(("127.0.0.1", 0)),
    "wildcard": lambda: new().bind(("0.0.0.0", granted)),
    "other address": lambda: new().bind(("127.0.0.2", granted)),
    "other family": lambda: new(socket.AF_INET6).bind(("::", granted)),
    "mapped": lambda: new(socket.AF_INET6).bind(("::ffff:127.0.0.2", granted)),
    "taken": lambda: new().bind(("127.0.0.1", taken)),
    "tcp": lambda: new(kind=socket.SOCK_STREAM).bind(("127.0.0.1", granted)),
    "multicast": lambda: bound().setsockopt(0, 35, b"\xe0\0\0\xfb" + bytes(4)),
    "device": lambda: bound().setsockopt(socket.SOL_SOCKET, 25, b"lo\0"),
    "transparent": lambda: bound().setsockopt(0, 19, 1),
    "freebind": lambda: bound().setsockopt(0, 15, 1),
    "elsewhere": lambda: new().connect(("192.0.2.1", silent)),
}
for name, deed in deeds.items():
    try:
        deed()
        print("worked:", name)
    except OSError:
        pass
s = bound()
libc = ctypes.CDLL(None)
to = lambda port: struct.pack("=H", 2) + struct.pack("!H", port) + b"\x7f\0\0\1" + bytes(8)
for sender in (s, new()):  # nobody has spoken to it, so nobody is answered
    libc.sendto(sender.fileno(), b"escaped", 7, 0, to(silent), 16)
    libc.connect(sender.fileno(), to(silent), 16)
    libc.send(sender.fileno(), b"escaped", 7, 0)
s.close()
bound().close()  # the port is free again at once
print("done")
"""


def test_nothing_else_is_served_and_nobody_written_to_first(tier: Tier) -> None:
    if tier.kind == "landlock":
        pytest.skip("no UDP there")
    port = free() & ~1 or 40000
    with (
        socket.socket(type=socket.SOCK_DGRAM) as taken,
        socket.socket(type=socket.SOCK_DGRAM) as silent,
    ):
        for one in (taken, silent):
            one.bind((HERE, 0))
            one.setblocking(False)
        ports = (port, taken.getsockname()[1], silent.getsockname()[1])
        flags = ["--bind", f"udp:{HERE}:{port}", "--bind", f"udp:{HERE}:{ports[1]}"]
        done = run(tier, [*flags, "--import", "ctypes"], REFUSED, ",".join(map(str, ports)))
        assert done.out == "done\n", done.err
        for one in (taken, silent):
            with pytest.raises(BlockingIOError):
                one.recv(100)
