"""Pipes and granted connections inside a sandbox, as ratios to plain CPython in the same rounds.

Each figure is the median over interleaved rounds (plain, belljar, plain, ...) of the best of many
short batches of a process: what the operation costs, and not who else wants the processor. Both
kinds are in a session of their own. The echo server is outside; TCP is measured after its connect.
Milliseconds are of a thousand operations.

    bench/network.py [--rounds N]
"""

from __future__ import annotations

import argparse
import socket
import sys
import threading
from collections.abc import Callable

from run import BELLJAR, PLAIN, TARGETS, report, rounds, show

MOST = 1.10
PIPE = """
r, w = os.pipe()
def once(): os.write(w, data); os.read(r, 65536)
"""
TCP = """
import socket
s = socket.create_connection(("127.0.0.1", port))
s.setsockopt(6, 1, 1)
def once():
    s.sendall(data)
    got = 0
    while got < len(data): got += len(s.recv(65536))
"""
UDP = """
import socket
s = socket.socket(type=socket.SOCK_DGRAM)
s.connect(("127.0.0.1", port))
s.settimeout(10)
def once(): s.send(data); s.recv(65536)
"""
PROGRAM = """
import os, time
port, data = {port}, b"x" * {size}
{setup}
times = []
for _ in range(60):
    t = time.perf_counter()
    for _ in range({count}): once()
    times.append(time.perf_counter() - t)
print(1000 * min(times) / {count})
"""
#: task -> how it is set up, bytes, times in a batch, the target
TASKS = {
    "pipe, 64 bytes": (PIPE, 64, 2000, MOST),
    "pipe, 32 KiB": (PIPE, 32768, 400, MOST),
    "TCP round trip, 64 bytes": (TCP, 64, 100, MOST),
    "TCP round trip, 64 KiB": (TCP, 65536, 40, MOST),
    "UDP round trip, 64 bytes": (UDP, 64, 50, 0.0),  # by way of the keeper: no target
}


def echo(kind: int, handle: Callable[[socket.socket], None]) -> int:
    """The port of a server that lives as long as this process."""
    one = socket.socket(type=kind)
    one.bind(("127.0.0.1", 0))
    threading.Thread(target=handle, args=(one,), daemon=True).start()
    port: int = one.getsockname()[1]
    return port


def streams(listener: socket.socket) -> None:
    """One connection after the other, so that nothing else runs meanwhile."""
    listener.listen(16)
    while True:
        peer, _ = listener.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with peer:
            while data := peer.recv(65536):
                peer.sendall(data)


def datagrams(one: socket.socket) -> None:
    """What comes goes back."""
    while True:
        data, peer = one.recvfrom(65536)
        one.sendto(data, peer)


def main() -> int:
    """Measure, print, and say by the exit status whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    ports = {TCP: echo(socket.SOCK_STREAM, streams), UDP: echo(socket.SOCK_DGRAM, datagrams)}
    quiet = [*BELLJAR, "run", "--no-policy", "--quiet", "--ledger", "none"]
    quiet += ["--python", sys.executable]
    for port, flag in ((ports[TCP], ""), (ports[UDP], "udp:")):
        quiet += ["--connect", f"{flag}127.0.0.1:{port}"]
    found = {}
    for task, (setup, size, count, target) in TASKS.items():
        code = PROGRAM.format(port=ports.get(setup, 0), size=size, setup=setup, count=count)
        if target:
            TARGETS[task, "belljar"] = target
        plain = ["setsid", "--wait", PLAIN, "-I", "-S", "-c", code]
        kinds: dict[str, list[str] | None] = {"plain": plain, "belljar": [*quiet, "-c", code]}
        found[task] = rounds(kinds, report, options.rounds)
    return 0 if show(found) else 1


if __name__ == "__main__":
    sys.exit(main())
