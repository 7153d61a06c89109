"""A client in C that knows nothing of sandboxes: libpq, by psycopg and by hand, and its server."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from glob import glob
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from tempfile import mkdtemp
from threading import Thread

import pytest
from nets import free_port, run
from tiers import NOBODY, Tier

NAME = "db.example.test"


class Database(StreamRequestHandler):
    """The beginning of PostgreSQL's protocol, and one answer to every query
    (postgresql.org/docs/current/protocol-message-formats.html)."""

    def handle(self) -> None:
        while self._word() in (80877103, 80877104):  # TLS, GSSAPI: no
            self.wfile.write(b"N")
        self.rfile.read(self.length - 8)
        self._tell(b"R", struct.pack("!i", 0))
        told = {"server_version": "15.0", "client_encoding": "UTF8", "DateStyle": "ISO, MDY"}
        for name, value in {**told, "standard_conforming_strings": "on"}.items():
            self._tell(b"S", f"{name}\0{value}\0".encode())
        self._tell(b"Z", b"I")
        while (kind := self.rfile.read(1)) not in (b"", b"X"):
            (size,) = struct.unpack("!i", self.rfile.read(4))
            text = self.rfile.read(size - 4).rstrip(b"\0")
            if kind == b"Q":
                self._answer(text)

    def _word(self) -> int:
        self.length, word = struct.unpack("!ii", self.rfile.read(8))
        return word

    def _tell(self, kind: bytes, body: bytes) -> None:
        self.wfile.write(kind + struct.pack("!i", len(body) + 4) + body)

    def _answer(self, query: bytes) -> None:
        self.server.asked.append(query)
        self._tell(b"T", struct.pack("!h", 1) + b"n\0" + struct.pack("!ihihih", 0, 0, 23, 4, -1, 0))
        self._tell(b"D", struct.pack("!hi", 1, 2) + b"42")
        self._tell(b"C", b"SELECT 1\0")
        self._tell(b"Z", b"I")


class Server(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Database)
        self.asked: list[bytes] = []


@pytest.fixture
def database() -> Iterator[Server]:
    with Server() as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


BY_HAND = """
import ctypes, sys
pq = ctypes.CDLL(sys.argv[1])
pq.PQconnectdb.restype = pq.PQexec.restype = ctypes.c_void_p
pq.PQgetvalue.restype = pq.PQerrorMessage.restype = ctypes.c_char_p
link = ctypes.c_void_p(pq.PQconnectdb(sys.argv[2].encode()))
if pq.PQstatus(link):
    sys.exit(pq.PQerrorMessage(link).decode())
found = ctypes.c_void_p(pq.PQexec(link, b"select n"))
print(pq.PQgetvalue(found, 0, 0).decode())
pq.PQclear(found)
pq.PQfinish(link)
"""


def test_libpq_asks_a_granted_name(tier: Tier, database: Server) -> None:
    library = next(iter(glob("/usr/lib/*/libpq.so.5")), "")
    if not library:
        pytest.skip("no libpq on this machine")
    port = database.server_address[1]
    flags = ["--connect", f"{NAME}:{port}", "--import", "ctypes", "--extensions", "all"]
    where = f"host={NAME} port={port} user=guest dbname=x sslmode=disable gssencmode=disable"
    done = run(tier, [*flags, "--memory", "2GiB"], BY_HAND, library, where)
    assert done.out == "42\n", done.err
    assert database.asked == [b"select n"]
    elsewhere = where.replace(NAME, "127.0.0.2")
    done = run(tier, [*flags, "--memory", "2GiB"], BY_HAND, library, elsewhere)
    assert "Permission denied" in done.err, done.out


PSYCOPG = """
import psycopg, sys
with psycopg.connect(sys.argv[1], autocommit=True) as link:
    print(link.execute(sys.argv[2]).fetchone())
try:
    psycopg.connect(sys.argv[1], host="127.0.0.2", connect_timeout=5)
except psycopg.OperationalError as error:
    print("denied" in str(error))
"""


def by_psycopg(tier: Tier, port: int, user: str, query: str) -> None:
    pytest.importorskip("psycopg")
    if tier.demoted:
        pytest.skip("that tier's interpreter has no distributions")
    flags = ["--connect", f"{NAME}:{port}", "--python", sys.executable, "--import", "psycopg"]
    flags += ["--import", "psycopg-binary", "--memory", "2GiB"]
    where = f"host={NAME} port={port} user={user} dbname=postgres"
    done = run(tier, flags, PSYCOPG, where, query)
    assert done.out == "(42,)\nTrue\n", done.err


def test_psycopg_asks_a_granted_name(tier: Tier, database: Server) -> None:
    by_psycopg(tier, database.server_address[1], "guest", "select n")
    assert database.asked == [b"select n"]


@pytest.fixture(scope="module")
def postgres(kernel_base: Path) -> Iterator[int]:
    """A PostgreSQL server of its own; needs BELLJAR_LONG=1."""
    tools = next(iter(sorted(glob("/usr/lib/postgresql/*/bin"), reverse=True)), "")
    tools = tools or os.path.dirname(shutil.which("initdb") or "")
    if not tools or os.environ.get("BELLJAR_LONG") != "1":
        pytest.skip("starts a PostgreSQL server: BELLJAR_LONG=1, where one is installed")
    place, port = mkdtemp(prefix="postgres", dir=kernel_base), free_port()
    as_user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    if as_user:
        os.chown(place, NOBODY, NOBODY)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/", **as_user}
    made = [f"{tools}/initdb", "-D", place, "-U", "guest", "-A", "trust", "-N"]
    subprocess.run(made, check=True, **quiet)
    words = ["-D", place, "-k", "", "-p", str(port), "-c", "listen_addresses=127.0.0.1"]
    with subprocess.Popen([f"{tools}/postgres", *words], **quiet) as server:
        ready = [f"{tools}/pg_isready", "-h", "127.0.0.1", "-p", str(port)]
        end = time.monotonic() + 60
        while subprocess.run(ready, check=False, **quiet).returncode and time.monotonic() < end:
            time.sleep(0.1)
        yield port
        server.terminate()


def test_psycopg_asks_a_real_server(tier: Tier, postgres: int) -> None:
    by_psycopg(tier, postgres, "guest", "select sum(n)::int + 6 from generate_series(1, 8) n")
