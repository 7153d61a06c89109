"""Clients that know nothing of sandboxes, against a TLS server on a granted name or address."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from nets import run
from tiers import Tier

NAME = "db.example.test"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(b"got " + self.path.encode())

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])).upper())

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="session")
def certificate(kernel_base: Path) -> Path:
    """A certificate for NAME and 127.0.0.1, its key beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(NAME), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = kernel_base / "tls"
    folder.mkdir()
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "cert.pem"


@pytest.fixture(scope="session")
def server(certificate: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        web.socket = context.wrap_socket(web.socket, server_side=True)
        thread = Thread(target=web.serve_forever, args=(0.05,))
        thread.start()
        yield web.server_port
        web.shutdown()
        thread.join()


STANDARD = r"""
import asyncio, http.client, selectors, socket, ssl, sys, urllib.request
host, port, cert = sys.argv[1], int(sys.argv[2]), sys.argv[3]
context = ssl.create_default_context(cafile=cert)
with urllib.request.urlopen(f"https://{host}:{port}/a", context=context, timeout=10) as answer:
    print(answer.read().decode())
link = http.client.HTTPSConnection(host, port, context=context, timeout=10)
for path in ("/one", "/two"):  # kept alive
    link.request("POST", path, body=path.encode() * 10000)
    print(len(link.getresponse().read()))
link.close()

async def main():
    async def one(n):
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
        writer.writelines([f"GET /{n} HTTP/1.1\r\n".encode(), b"Connection: close\r\n\r\n"])
        await writer.drain()
        body = (await reader.read()).rpartition(b"\r\n")[2]
        writer.close()
        return body.decode()
    print(await asyncio.gather(*(one(n) for n in range(5))))
asyncio.run(main())

# by hand, as event loops do it
s = socket.socket()
s.setblocking(False)
print(s.connect_ex(("127.0.0.1", port)) in (0, 115))
with selectors.DefaultSelector() as selector:
    selector.register(s, selectors.EVENT_WRITE)
    print(len(selector.select(10)), s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
s.setblocking(True)
with context.wrap_socket(s, server_hostname=host) as wrapped:
    wrapped.sendall(b"GET /tls HTTP/1.0\r\n\r\n")
    print(wrapped.version(), wrapped.recv(1000).split(b"\r\n")[0].decode())
"""


def test_the_standard_library_talks_to_a_granted_server(
    tier: Tier, server: int, certificate: Path
) -> None:
    host = "127.0.0.1" if tier.kind == "landlock" else NAME
    flags = ["--connect", f"{host}:{server}", "--read", str(certificate)]
    done = run(tier, flags, STANDARD, host, str(server), str(certificate))
    assert done.out.splitlines() == [
        "got /a",
        "40000",
        "40000",
        "['got /0', 'got /1', 'got /2', 'got /3', 'got /4']",
        "True",
        "1 0",
        "TLSv1.3 HTTP/1.0 200 OK".replace("1.0", "1.1"),
    ], done.err
    assert done.result["denials"] == []


#: Each prints what it got and what it posted; `base` and `cert` are given.
CLIENTS = {
    "requests": """
import requests
with requests.Session() as session:
    session.verify = cert
    print(session.get(f"{base}/r").text, session.post(base, data="abc").text)
""",
    "httpx": """
import asyncio, httpx, ssl
context = ssl.create_default_context(cafile=cert)
with httpx.Client(verify=context) as client:
    got = client.get(f"{base}/r").text
async def main():
    async with httpx.AsyncClient(verify=context) as client:
        return (await client.post(base, content="abc")).text
print(got, asyncio.run(main()))
""",
    "aiohttp": """
import aiohttp, asyncio, ssl
async def main():
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=cert))
    async with aiohttp.ClientSession(connector=connector) as session:
        async with session.get(f"{base}/r") as got, session.post(base, data="abc") as posted:
            print(await got.text(), await posted.text())
asyncio.run(main())
""",
    "pycurl": """
import io, pycurl
said = []
for path, body in (("/r", None), ("/", b"abc")):
    curl, out = pycurl.Curl(), io.BytesIO()
    curl.setopt(pycurl.URL, base + path)
    curl.setopt(pycurl.CAINFO, cert)
    curl.setopt(pycurl.WRITEDATA, out)
    if body:
        curl.setopt(pycurl.POSTFIELDS, body)
    curl.perform()
    curl.close()
    said.append(out.getvalue().decode())
print(*said)
""",
}


@pytest.mark.parametrize("client", CLIENTS)
def test_clients_of_others_talk_tls_to_a_granted_name(
    tier: Tier, server: int, certificate: Path, client: str
) -> None:
    pytest.importorskip(client)
    if tier.demoted:
        pytest.skip("that tier's interpreter has no distributions")
    code = f"import sys\nbase, cert = sys.argv[1:]\n{CLIENTS[client]}"
    flags = ["--connect", f"{NAME}:{server}", "--read", str(certificate), "--memory", "2GiB"]
    more = ["--python", sys.executable, "--import", client]
    done = run(tier, [*flags, *more], code, f"https://{NAME}:{server}", str(certificate))
    assert done.out == "got /r ABC\n", done.err
