"""`TcpClient` and `HttpClient`: listed addresses and requests, and what tries to pass for one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pairs import Pair

from belljar.sandbox.caps import HttpClient, TcpClient
from belljar.sandbox.caps.http_rules import place_of, read_rule


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that answers each connection with what it was sent, once, in capitals."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                one, _ = listener.accept()
            except OSError:
                return
            with one:
                one.sendall(one.recv(100).upper())

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_a_guest_speaks_with_a_listed_address(echo: int) -> None:
    pair = Pair()
    pair.share("net", TcpClient([f"127.0.0.0/8:{echo}"]))
    line = pair.host.net.connect("127.0.0.1", echo)
    line.send(b"hello")
    assert line.receive() == b"HELLO"
    assert line.receive(10) == b""
    line.close()
    with pytest.raises(OSError):
        line.send(b"x")
    assert dir(line) == ["close", "receive", "send"]
    for most in (0, -1, 1 << 30, True):
        with pytest.raises(ValueError):
            line.receive(most)


@pytest.mark.parametrize(
    ("host", "port"),
    [("127.0.0.1", 1), ("10.0.0.1", 0), ("localhost", 0), ("127.1", 0), ("0x7f.0.0.1", 0),
     ("2130706433", 0), ("::ffff:10.0.0.1", 0), ("127.0.0.1%lo", 0), ("", 0), ("127.0.0.1 ", 0),
     ("unix:/x", 0), ("127.0.0.0/8", 0), ("*", 0), ("api.example.com.evil", 0)],
)  # fmt: skip
def test_other_addresses_are_refused_and_recorded(echo: int, host: str, port: int) -> None:
    pair = Pair()
    pair.share("net", TcpClient([f"127.0.0.1:{echo}", "api.example.com:443"]))
    with pytest.raises(PermissionError, match="allows no connection to this address"):
        pair.host.net.connect(host, port or echo)
    assert pair.recorded[-1][2] == "deny"


def test_connections_are_counted_while_they_are_open(echo: int) -> None:
    pair = Pair()
    pair.share("net", TcpClient([f"127.0.0.1:{echo}"], open_at_once=2))
    first, second = (pair.host.net.connect("127.0.0.1", echo) for _ in range(2))
    with pytest.raises(PermissionError, match="2 connections are open already"):
        pair.host.net.connect("127.0.0.1", echo)
    first.close()
    pair.host.net.connect("127.0.0.1", echo).close()
    second.close()


def test_what_is_no_tcp_address_cannot_be_listed() -> None:
    for text in ("example.com", "udp:example.com:53", "unix:/run/x", "*:80"):
        with pytest.raises(ValueError):
            TcpClient([text])
    with pytest.raises(TypeError):
        TcpClient("example.com:80")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str, dict[str, str], bytes]]

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append((self.command, self.path, dict(self.headers), body))
        answer = b"x" * 5000 if "large" in self.path else b"answer"
        self.send_response(302 if "moved" in self.path else 200)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = _do

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[tuple[str, type[Handler]]]:
    handler = type("One", (Handler,), {"seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = False
    thread = threading.Thread(target=lambda: server.serve_forever(0.01))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", handler
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_guest_makes_requests_with_a_token_that_it_does_not_see(web) -> None:
    base, handler = web
    pair = Pair()
    token = {"Authorization": "Bearer secret"}
    pair.share("api", HttpClient([f"GET,POST {base}/v1/*"], headers=token))
    request = pair.host.api.request
    answer = request("GET", f"{base}/v1/items?page=2", {"Accept": "x/y", "authorization": "mine"})
    assert (answer["status"], answer["body"]) == (200, b"answer")
    assert ("Location", "/elsewhere") in answer["headers"]
    assert request("POST", f"{base}/v1/moved", body=b"data")["status"] == 302
    (first, second) = handler.seen
    assert first[:2] == ("GET", "/v1/items?page=2")
    assert first[2]["Authorization"] == "Bearer secret"
    assert first[2]["Accept"] == "x/y"
    assert list(map(str.lower, first[2])).count("authorization") == 1
    assert second[3] == b"data"


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/v1/a"), ("get", "/v1/a"), ("GET", "/v2/a"), ("GET", "/v1"), ("GET", "/v1/../v2"),
     ("GET", "/v1/%2e%2e/v2"), ("GET", "/v1/%2E./v2"), ("GET", "/v1/..;/v2"), ("GET", "/v1/a%2fb"),
     ("GET", "/v1/a\\..\\..\\v2"), ("GET", "/v1/%5c"), ("GET", "//v1/a"), ("GET", "/v1//a"),
     ("GET", "/v1/a#b"), ("GET", "/v1/a b"), ("GET", "/v1/%252e%252e/v2"), ("GET", "/v1/%00"),
     ("GET", "/v1/\r\nX: y"), ("GET", "/v1/%ff"), ("GET", "/v1/é"), ("GET", "/exact?x"),
     ("GET", "/exact/"), ("GET", "/exact?"), ("GET /v1/a HTTP/1.1\r\nX:", "/v1/a")],
)  # fmt: skip
def test_a_request_that_no_rule_allows_is_not_made(web, method: str, path: str) -> None:
    base, handler = web
    pair = Pair()
    pair.share("api", HttpClient([f"GET {base}/v1/*", f"GET {base}/exact"]))
    with pytest.raises(PermissionError, match="allows no such request"):
        pair.host.api.request(method, base + path)
    assert pair.recorded[-1][2] == "deny"
    assert not handler.seen
    pair.host.api.request("GET", f"{base}/exact")


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1@evil/v1/", "http://evil#@127.0.0.1/v1/", "ftp://127.0.0.1/v1/",
     "http://127.0.0.1:0/v1/", "http://127.0.0.1:x/v1/", "http:///v1/", "//127.0.0.1/v1/",
     "http://127.0.0.1:99999/v1/", "http://[::1]/v1/", "http://a_b c/", "http://exa%6dple/",
     "http://h", "file:///etc/passwd", ""],
)  # fmt: skip
def test_a_url_that_could_be_read_in_two_ways_names_nothing(url: str) -> None:
    assert place_of(url) is None


@pytest.mark.parametrize(
    "headers",
    [{"Host": "x"}, {"Content-Length": "0"}, {"Transfer-Encoding": "chunked"}, {"X": "a\r\nY: b"},
     {"X\r\nY": "b"}, {"": "x"}, {"X": "é"}, {"X": "a", "x": "b"}, {"X": 1}, {1: "x"},
     {"Connection": "close"}, {f"X{n}": "" for n in range(65)}, [("X", "y")]],
)  # fmt: skip
def test_headers_that_would_be_more_than_headers_are_refused(web, headers: object) -> None:
    base, handler = web
    pair = Pair()
    pair.share("api", HttpClient([f"GET {base}/v1/*"]))
    with pytest.raises(ValueError):
        pair.host.api.request("GET", f"{base}/v1/a", headers)
    assert not handler.seen


def test_bodies_have_an_end(web) -> None:
    base, _ = web
    pair = Pair()
    pair.share("api", HttpClient([f"POST {base}/*"], most=100))
    with pytest.raises(ValueError, match="the answer has more than 100 bytes"):
        pair.host.api.request("POST", f"{base}/large")
    with pytest.raises(ValueError, match="a body is at most 100 bytes"):
        pair.host.api.request("POST", f"{base}/x", None, b"x" * 101)


@pytest.mark.parametrize(
    "rule",
    ["https://h/", "GET h/", "GET https://h", "GET https://h/a*", "GET https://h/*/b",
     "FETCH https://h/", "* https://h/", "GET https://*/", "GET https://h/?q=*", "get https://h/"],
)  # fmt: skip
def test_a_rule_that_is_none_is_refused(rule: str) -> None:
    with pytest.raises(ValueError):
        read_rule(rule)
