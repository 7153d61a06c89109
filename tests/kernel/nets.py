"""Servers on loopback, and a `belljar` whose resolver knows the names of these tests."""

from __future__ import annotations

import json
import socket
import threading

from tiers import MAIN, Tier

#: The host's resolver, but for names beneath `.test` (RFC 6761), which only we know.
NAMES = {"db.example.test": ["127.0.0.1"], "both.example.test": ["127.0.0.1", "::1"]}
LOOK = f"""
import socket, sys
names, real = {NAMES!r}, socket.getaddrinfo
def look(host, *rest, **more):
    if not host.endswith(".test"):
        return real(host, *rest, **more)
    if host not in names:
        raise socket.gaierror(-2, "Name or service not known")
    return [(0, 0, 0, "", (address, 0)) for address in names[host]]
socket.getaddrinfo = look
"""


class Ran:
    """How a run ended, and what it said."""

    def __init__(self, status: int, out: bytes, err: bytes, result: str) -> None:
        self.status = status
        self.out, self.err = out.decode(), err.decode()
        self.result = json.loads(result) if result else {}


def run(tier: Tier, flags: list[str], code: str, *args: str) -> Ran:
    """Run `code` in a sandbox of the tier; names beneath `.test` resolve."""
    (tier.home / "guest.py").write_text(code)
    result = tier.home / "result.json"
    result.unlink(missing_ok=True)
    words = [w if w != MAIN else LOOK + MAIN for w in tier.command()]
    ours = ["run", "--ledger", "none", "--result", str(result)]
    process = tier.start(*ours, *flags, "guest.py", *args, words=words)
    out, err = process.communicate(timeout=30)
    return Ran(process.returncode, out, err, result.read_text() if result.exists() else "")


class Echo:
    """A server that gives back what it gets; `heard` is what came, of anybody."""

    def __init__(self, host: str = "127.0.0.1", kind: int = socket.SOCK_STREAM) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        family = socket.AF_UNIX if "/" in host else family
        self.socket = socket.socket(family, kind)
        self.socket.bind(host if "/" in host else (host, 0))
        self.port = 0 if "/" in host else self.socket.getsockname()[1]
        self.heard: list[bytes] = []
        self._kind = kind
        self._threads: list[threading.Thread] = []
        self._stop = False

    def __enter__(self) -> Echo:
        if self._kind != socket.SOCK_DGRAM:
            self.socket.listen(64)
        self._start(self._datagrams if self._kind == socket.SOCK_DGRAM else self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = True
        for thread in self._threads:
            thread.join(10)
        self.socket.close()

    def _start(self, what: object, *args: object) -> None:
        thread = threading.Thread(target=what, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        self.socket.settimeout(0.05)
        while not self._stop:
            try:
                peer, _ = self.socket.accept()
            except TimeoutError:
                continue
            self._start(self._echo, peer)

    def _echo(self, peer: socket.socket) -> None:
        with peer:
            peer.settimeout(10)
            try:
                while data := peer.recv(65536):
                    self.heard.append(data)
                    peer.sendall(data)
            except OSError:
                return

    def _datagrams(self) -> None:
        self.socket.settimeout(0.05)
        while not self._stop:
            try:
                data, peer = self.socket.recvfrom(65536)
            except TimeoutError:
                continue
            self.heard.append(data)
            self.socket.sendto(data, peer)


def v6() -> bool:
    """Can this machine bind ::1?"""
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


def free_port() -> int:
    """A port of loopback that nobody has right now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
