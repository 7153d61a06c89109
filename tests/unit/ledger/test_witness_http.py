"""C2SP tlog-witness over HTTP: every status of the specification, and hostile clients."""

from __future__ import annotations

import asyncio
import base64
import http.client
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from belljar.cli.log import main
from belljar.ledger.tree.keys import load
from belljar.ledger.tree.merkle import EMPTY
from belljar.ledger.tree.note import NoteMalformed, SigningKey, open_note, sign
from belljar.ledger.tree.tilefiles import TileReader
from belljar.ledger.witness import server as module
from belljar.ledger.witness.cosign import Witness
from belljar.ledger.witness.protocol import MAX_REQUEST, parse_request, request

from .logs import Log

UNITS = Path(__file__).parents[3] / "units"

# C2SP tlog-witness, section "add-checkpoint": the example of a request.
SPEC_REQUEST = """old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gG\
zGku9nTo+zyWE+xeMcTOAYQ8=
"""


class Served:
    """A witness that listens, in a process of its own, and a log that it trusts."""

    def __init__(self, tmp_path: Path) -> None:
        self.state = str(tmp_path / "state")
        assert main(["witness", "--state", self.state, "--new-key", "w.example/1"]) == 0
        self.key = load(self.state + "/key").public
        self.log = Log(tmp_path / "ledger")
        self.errors = tmp_path / "errors"
        code = "import sys; from belljar.cli.log import main; sys.exit(main(sys.argv[1:]))"
        argv = ["witness", "--state", self.state, "--trust", f"{self.log.path}/keys/public"]
        with self.errors.open("wb") as errors:
            self.child = subprocess.Popen(
                [sys.executable, "-c", code, *argv, "--listen", "127.0.0.1:0"],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self.child.stdout is not None
        assert self.child.stdout.readline().startswith("trusted: belljar.ledger/")
        self.url = self.child.stdout.readline().strip().removeprefix("listening: ")
        self.port = int(self.url.rpartition(":")[2])

    def ask(self, body: bytes, method: str = "POST", path: str = "/add-checkpoint"):  # type: ignore[no-untyped-def]
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body)
            found = connection.getresponse()
            return found.status, found.headers.get("Content-Type"), found.read()
        finally:
            connection.close()

    def raw(self, data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            parts = []
            while part := client.recv(65536):
                parts.append(part)
            return b"".join(parts)

    def add(self, old: int, note: bytes, proof: list[bytes] | None = None) -> tuple[int, bytes]:
        if proof is None:
            size = int(note.split(b"\n")[1])
            proof = TileReader(self.log.path).consistency(old, size)
        status, _kind, body = self.ask(request(old, proof, note))
        return status, body


@pytest.fixture
def served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Served]:
    made = Served(tmp_path)
    capsys.readouterr()
    yield made
    made.child.send_signal(signal.SIGINT)
    assert made.child.stdout is not None
    made.child.stdout.close()
    assert made.child.wait(10) == 0
    assert "Traceback" not in made.errors.read_text()


def test_the_example_request_of_the_specification_is_understood() -> None:
    old, proof, note = parse_request(SPEC_REQUEST.encode())
    assert (old, len(proof)) == (20852014, 4)
    assert note.startswith(b"example.com/behind-the-sofa\n")
    assert request(old, proof, note) == SPEC_REQUEST.encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 1\n",
        b"old 01\n\nx",
        b"old -1\n\nx",
        b"old x\n\nx",
        b"new 1\n\nx",
        b"1\n\nx",
        b"old 1\nAAAA\n\nx",
        b"old 1\n!!!!\n\nx",
        b"old 1\n\xff\n\nx",
        b"old 1\n" + b"%s\n" % base64.b64encode(bytes(32)) * 64 + b"\nx",
        b"old 1\n" + base64.b64encode(bytes(32)) + b" \n\nx",
    ],
)
def test_what_is_not_exactly_a_request_is_refused(body: bytes) -> None:
    with pytest.raises(NoteMalformed):
        parse_request(body)


def test_every_answer_of_the_specification(served: Served, tmp_path: Path) -> None:
    log, add = served.log, served.add
    three = log.grow(b"one", b"two", b"three")
    assert add(5, three, [])[0] == 400  # old size above the size
    assert add(2, three)[0] == 409
    assert served.ask(request(2, [], three))[1:] == ("text/x.tlog.size", b"0\n")
    assert add(0, three, [EMPTY])[0] == 422  # a proof where none is needed
    status, body = add(0, three)
    assert status == 200
    assert body.decode().startswith("— w.example/1 ")
    open_note(three + body, [log.key.public, served.key], every=True)
    five = log.grow(b"four", b"five")
    assert add(0, five, []) == (409, b"3\n")
    assert add(3, five, [])[0] == 422
    assert add(3, five)[0] == 200
    assert add(5, five)[0] == 200  # the same again, at another time
    assert add(3, three)[1] == b"5\n"  # behind: a rollback
    fork = log.forge(tmp_path / "fork", b"1", b"2", b"3", b"4", b"5")
    assert add(5, (fork.directory / "checkpoint").read_bytes(), [])[0] == 422
    stranger = Log(tmp_path / "stranger")
    assert add(0, stranger.grow(b"x"), [])[0] == 404
    text = five.decode().partition("\n\n")[0] + "\n"
    assert add(5, sign(text, [stranger.key]), [])[0] == 403
    assert add(5, five[:-8] + b"AAAAAA=\n", [])[0] in (400, 403)
    assert add(5, five.replace(b"\n5\n", b"\n6\n"), [])[0] == 403
    assert served.ask(b"rubbish")[0] == 400
    assert served.ask(b"", "GET")[0] == 405
    assert served.ask(b"", "GET", "/")[0] == 404


def test_an_empty_log_must_have_the_root_of_the_empty_tree(served: Served) -> None:
    empty = served.log.grow()
    lie = empty.partition(b"\n\n")[0].split(b"\n")
    lie[2] = base64.b64encode(bytes(32))
    forged = sign(b"\n".join(lie).decode() + "\n", [served.log.key])
    assert served.add(0, forged, [])[0] == 422
    assert served.add(0, empty, [])[0] == 200


def test_the_newest_cosigned_checkpoint_can_be_fetched(served: Served) -> None:
    path = f"/{sha256(served.log.origin.encode()).hexdigest()}/checkpoint"
    assert served.ask(b"", "GET", path)[0] == 404
    note = served.log.grow(b"one")
    line = served.add(0, note)[1]
    status, kind, body = served.ask(b"", "GET", path)
    assert (status, kind) == (200, "text/plain; charset=utf-8")
    assert body == note + line
    for wrong in ("/../key/checkpoint", f"/{'.' * 64}/checkpoint", f"{path}/../key", "/key"):
        assert served.ask(b"", "GET", wrong)[0] == 404


def test_one_connection_serves_many_requests(served: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    for size in range(1, 6):
        note = served.log.grow(b"x")
        proof = TileReader(served.log.path).consistency(size - 1)
        connection.request("POST", "/prefix/add-checkpoint", request(size - 1, proof, note))
        found = connection.getresponse()
        assert (found.status, found.read()[:3]) == (200, "—".encode())
    connection.close()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"rubbish\r\n\r\n", 400),
        (b"POST /add-checkpoint HTTP/3\r\n\r\n", 400),
        (b"POST /add-checkpoint HTTP/1.1\r\n\r\n", 411),
        (b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 1e3\r\n\r\n", 400),
        (b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MAX_REQUEST + 1), 413),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400),
        (b"POST / HTTP/1.1\r\nContent-Length : 1\r\n\r\nx", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nX: \xff\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: y\nContent-Length: 30\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: y\rContent-Length: 30\r\n\r\n", 400),
        (b"GET /\0 HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 431),
    ],
)
def test_a_hostile_request_is_answered_and_the_server_goes_on(
    served: Served, data: bytes, status: int
) -> None:
    assert served.raw(data).startswith(b"HTTP/1.1 %d " % status)
    assert served.add(0, served.log.grow(b"one"))[0] == 200


def test_connections_that_say_nothing_do_not_keep_others_out_for_long(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With 3 seconds in the place of 10."""
    state = str(tmp_path / "state")
    assert main(["witness", "--state", state, "--new-key", "w"]) == 0
    code = (
        "import sys\n"
        "from belljar.ledger.tree import keys\n"
        "from belljar.ledger.witness import cosign, server\n"
        "w = cosign.Witness(sys.argv[1], keys.load(sys.argv[1] + '/key'))\n"
        "ready = lambda host, port: print(port, flush=True)\n"
        "server.serve(w, '127.0.0.1', 0, ready, lambda *told: None, 3.0)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, state], stdout=subprocess.PIPE)
    assert child.stdout is not None
    where = ("127.0.0.1", int(child.stdout.readline()))
    held = [socket.create_connection(where) for _ in range(80)]
    try:
        for one in held:
            one.settimeout(60)
        held[0].sendall(b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 50\r\n\r\n")
        assert held[79].recv(1) == b""  # too many: at once
        assert not select.select([held[0]], [], [], 0)[0]  # this one has its time
        assert held[0].recv(1) == b""  # too slow
        late = http.client.HTTPConnection(*where, timeout=60)
        late.request("GET", "/")
        assert late.getresponse().status == 404
        late.close()
    finally:
        for one in held:
            one.close()
        child.kill()
        child.stdout.close()
        child.wait()


def test_of_many_that_come_at_once_no_two_are_cosigned_for_one_size(served: Served) -> None:
    """The race of the specification: compare and keep in one step."""
    notes = [served.log.grow(b"a")]
    assert served.add(0, notes[0])[0] == 200
    notes = [served.log.grow(b"%d" % i) for i in range(8)]
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda n=note: results.append(served.add(1, n)[0]))
        for note in notes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [200] + [409] * 7


def test_at_sigterm_it_ends_with_0_though_somebody_is_connected(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as client:
        client.sendall(b"GET /x HTTP/1.1\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 404 ")
        served.child.send_signal(signal.SIGTERM)
        assert served.child.wait(10) == 0


def test_a_connection_that_fails_gives_its_place_back(tmp_path: Path) -> None:
    async def fails() -> int:
        server = module._Server(Witness(str(tmp_path), SigningKey.new("w", 4)), print, 5.0)

        async def broken(*_: object) -> bool:
            raise RuntimeError("a defect")

        server._one = broken  # type: ignore[method-assign]
        closed = []

        class Writer:
            def close(self) -> None:
                closed.append(self)

        for _ in range(3):
            with pytest.raises(RuntimeError):
                await server._connection(None, Writer())  # type: ignore[arg-type]
        assert len(closed) == 3
        return len(server._tasks)

    assert asyncio.run(fails()) == 0


def test_submit_brings_the_cosignature_into_the_ledger(
    served: Served, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    argv = ["witness", "--submit", served.url, "--vkey", served.key.vkey(), served.log.path]
    served.log.grow(b"one", b"two")
    assert main(argv) == 0
    shutil.copytree(served.log.directory, tmp_path / "copy")
    served.log.grow(b"three")  # the witness answers 409 first: it is asked again with a proof
    assert main(argv) == 0
    assert "at 3 leaves" in capsys.readouterr().out
    assert served.errors.read_text() == "", "nothing was refused"
    note = (served.log.directory / "witness" / served.key.id.hex()).read_bytes()
    open_note(note, [served.log.key.public, served.key], every=True)
    shutil.rmtree(served.log.directory)
    shutil.copytree(tmp_path / "copy", served.log.directory)
    assert main(argv) == 1
    assert f"rollback: {served.url} has seen 3 leaves" in capsys.readouterr().err
    served.log.become(served.log.forge(tmp_path / "fork", b"x", b"y", b"z", b"w"))
    assert main(argv) == 1
    assert "refused (422)" in capsys.readouterr().err
    assert served.errors.read_text().startswith("belljar: answered 422: ")


def test_the_units_ask_the_witness_as_it_wants_to_be_asked(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    service = (UNITS / "belljar-witness.service").read_text()
    line = next(one for one in service.split("\n") if one.startswith("ExecStart="))
    words = line.removeprefix("ExecStart=/usr/bin/env belljar log ").split()
    assert words[-1] == "/var/lib/belljar/ledger"
    said = {"${WITNESS}": served.url, "${VKEY}": served.key.vkey(), words[-1]: served.log.path}
    served.log.grow(b"one")
    assert main([said.get(word, word) for word in words]) == 0
    assert "at 1 leaves" in capsys.readouterr().out
    analyze = shutil.which("systemd-analyze")
    if analyze is not None:
        units = sorted(map(str, UNITS.glob("belljar-witness.*")))
        assert len(units) == 2
        ran = subprocess.run(
            [analyze, "verify", "--man=no", *units], capture_output=True, text=True
        )
        assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")


def test_submit_says_when_nobody_answers_or_someone_else_does(
    served: Served, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    served.log.grow(b"one")
    main(["witness", "--state", str(tmp_path / "other"), "--new-key", "w.example/1"])
    other = capsys.readouterr().out.strip()
    for url, key, text in (
        ("http://127.0.0.1:1", served.key.vkey(), "cannot ask"),
        ("file:///etc/passwd", served.key.vkey(), "expected http"),
        (served.url, other, "did not cosign"),
        (served.url + "/x/y", other, "did not cosign"),
    ):
        assert main(["witness", "--submit", url, "--vkey", key, served.log.path]) == 1
        assert text in capsys.readouterr().err
    assert not (served.log.directory / "witness").exists()


def test_an_address_that_cannot_be_listened_on_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = str(tmp_path / "state")
    assert main(["witness", "--state", state, "--new-key", "w"]) == 0
    assert main(["witness", "--state", state, "--listen", "nonsense"]) == 2
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["witness", "--state", state, "--listen", f"127.0.0.1:{port}"]) == 1
    assert "cannot listen" in capsys.readouterr().err
