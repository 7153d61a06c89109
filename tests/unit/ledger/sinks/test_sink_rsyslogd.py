"""A real rsyslogd (Debian: rsyslog and rsyslog-gnutls) takes what is sent, over every transport."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import cannot

from belljar.ledger import Writer

from .conftest import HOSTILE, RUN, START, Feeding, eventually, hostile, packed, target
from .parsers import rfc5424, unescaped

RSYSLOGD = shutil.which("rsyslogd", path="/usr/sbin:/usr/bin:/sbin:/bin")
OPENSSL = shutil.which("openssl")
INSTALL = "install it: apt-get install rsyslog rsyslog-gnutls openssl"
TLS = Path("/usr/lib").glob("*/rsyslog/lmnsd_gtls.so")

CONFIG = """
global(workDirectory="{work}" maxMessageSize="64k" {tls}
       parser.escapeControlCharactersOnReceive="on" parser.permitSlashInProgramName="on")
template(name="raw" type="string" string="%rawmsg:::json%\\n")
module(load="{module}" {options})
input(type="{module}" {inputs})
*.* action(type="omfile" file="{out}" template="raw" flushOnTXEnd="on" asyncWriting="off")
"""


class Rsyslogd:
    """One rsyslogd with one input; `messages` are what it wrote down, as they came."""

    def __init__(
        self,
        folder: Path,
        module: str,
        inputs: str,
        options: str = "",
        tls: str = "",
        template: str = CONFIG,
    ):
        self.out = folder / "out.log"
        config = folder / "rsyslog.conf"
        config.write_text(
            template.format(work=folder, out=self.out, module=module, inputs=inputs,
                          options=options, tls=tls)
        )  # fmt: skip
        assert RSYSLOGD is not None
        self.log = (folder / "rsyslogd.log").open("wb")
        command = [RSYSLOGD, "-n", "-f", str(config), "-i", str(folder / "pid")]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        self.errors = folder / "rsyslogd.log"

    def messages(self) -> list[bytes]:
        if not self.out.exists():
            return []
        lines = self.out.read_text("utf-8").split("\n")[:-1]
        return [json.loads(f'"{line}"').encode("utf-8") for line in lines]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        self.log.close()


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """A test CA, and a certificate of it for 127.0.0.1."""
    ca, key, cert = folder / "ca.pem", folder / "key.pem", folder / "cert.pem"
    (folder / "ext").write_text(
        "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n"
        "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )
    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for words in (
        ["req", "-x509", *ec, "-keyout", folder / "ca.key", "-out", ca, "-subj", "/CN=test CA",
         "-addext", "keyUsage=critical,keyCertSign,cRLSign"],
        ["req", *ec, "-keyout", key, "-out", folder / "csr", "-subj", "/CN=logs"],
        ["x509", "-req", "-in", folder / "csr", "-CA", ca, "-CAkey", folder / "ca.key",
         "-out", cert, "-extfile", folder / "ext", "-set_serial", "2"],
    ):  # fmt: skip
        subprocess.run([str(OPENSSL), *map(str, words)], check=True, capture_output=True)
    return ca, key, cert


@pytest.fixture(params=["udp", "tcp", "tls", "local"])
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Rsyslogd, str]]:
    """A running rsyslogd and the sink that reaches it."""
    if RSYSLOGD is None or OPENSSL is None:
        cannot(INSTALL)
    folder = tmp_path / "rsyslog"
    folder.mkdir()
    kind = request.param
    if kind == "local":
        path = folder / "log.sock"
        # rsyslogd's parser for local sockets knows the old format only
        off = 'SysSock.Use="off"'
        inputs = f'Socket="{path}" CreatePath="on" UseSpecialParser="off" RateLimit.Interval="0"'
        daemon = Rsyslogd(folder, "imuxsock", inputs, off)
        yield daemon, f"syslog://{path}"
    elif kind == "udp":
        port = free_port(socket.SOCK_DGRAM)
        daemon = Rsyslogd(folder, "imudp", f'address="127.0.0.1" port="{port}"')
        yield daemon, f"syslog+udp://127.0.0.1:{port}"
    elif kind == "tcp":
        port = free_port(socket.SOCK_STREAM)
        daemon = Rsyslogd(folder, "imtcp", f'address="127.0.0.1" port="{port}"')
        yield daemon, f"syslog+tcp://127.0.0.1:{port}"
    else:
        if not list(TLS):
            cannot(INSTALL)
        port = free_port(socket.SOCK_STREAM)
        ca, key, cert = certificates(folder)
        files = f'DefaultNetstreamDriverCAFile="{ca}" DefaultNetstreamDriverKeyFile="{key}" '
        files += f'DefaultNetstreamDriverCertFile="{cert}"'
        options = 'StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon"'
        daemon = Rsyslogd(folder, "imtcp", f'address="127.0.0.1" port="{port}"', options, files)
        yield daemon, f"syslog+tls://127.0.0.1:{port}?ca={ca}"
    daemon.stop()


def test_rsyslogd_keeps_one_message_for_each_entry_and_its_fields_come_back(
    receiver: tuple[Rsyslogd, str], directory: str, feeding: Callable[..., Feeding]
) -> None:
    daemon, sink = receiver
    with Writer(directory) as writer:
        numbers = hostile(writer)
        writer.append([(START, 1, packed({"argv": ["job.py"]}))], RUN)
    feed = feeding(sink + ("&" if "?" in sink else "?") + "size=8000")
    feed.wait(20)
    wanted = len(HOSTILE) + 1
    got = eventually(lambda: len(found := daemon.messages()) >= wanted and found, 10, lambda: (
        daemon.errors.read_text(), len(daemon.messages()), feed.feed.where))  # fmt: skip
    by_number = {str(rfc5424(m)["fields"]["entry"]): rfc5424(m) for m in got}
    assert len(by_number) == wanted
    for name, number in numbers.items():
        message = by_number[str(number)]
        assert (message["facility"], message["severity"]) == (13, 4)
        value = unescaped(message["fields"]["target"])
        if name == "megabyte":
            assert target(name).startswith(value)
            assert message["fields"]["cut"] == f"target:{1 << 20}"
        else:
            assert value == target(name)
    assert feed.feed.where.lost == 0


def test_rsyslogd_as_debian_sets_it_up_understands_the_local_form(
    tmp_path: Path, directory: str, feeding: Callable[..., Feeding]
) -> None:
    if RSYSLOGD is None:
        cannot(INSTALL)
    path = tmp_path / "log"
    inputs = f'Socket="{path}" CreatePath="on" RateLimit.Interval="0"'
    template = CONFIG.replace("%rawmsg:::json%", "%programname% %syslogseverity% %msg:::json%")
    daemon = Rsyslogd(tmp_path, "imuxsock", inputs, 'SysSock.Use="off"', template=template)
    try:
        with Writer(directory) as writer:
            numbers = hostile(writer)
        feeding(f"syslog://{path}?form=bsd&size=8000")
        lines = eventually(
            lambda: len(found := daemon.out.read_text().splitlines() if daemon.out.exists() else [])
            >= len(numbers) and found
        )  # fmt: skip
    finally:
        daemon.stop()
    assert len(lines) == len(HOSTILE)
    for line, number in zip(lines, sorted(numbers.values()), strict=True):
        assert line.startswith(f'belljar 4  [belljar@32473 entry=\\"{number}\\" '), line[:80]


def test_a_certificate_of_nobody_we_know_gets_nothing(
    tmp_path: Path, directory: str, feeding: Callable[..., Feeding]
) -> None:
    if RSYSLOGD is None or OPENSSL is None:
        cannot(INSTALL)
    import ssl
    import threading

    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    stranger = certificates(other)[0]
    _, key, cert = certificates(one)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = socket.create_server(("127.0.0.1", 0))
    got: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                there, _ = server.accept()
                with context.wrap_socket(there, server_side=True) as secured:
                    got.append(secured.recv(100))
            except OSError:
                if server.fileno() < 0:
                    return

    threading.Thread(target=serve, daemon=True).start()
    with Writer(directory) as writer:
        writer.append([(START, 1, packed({"argv": ["secret"]}))], RUN)
    feed = feeding(f"syslog+tls://127.0.0.1:{server.getsockname()[1]}?ca={stranger}")
    eventually(lambda: feed.feed.where.state == "waiting")
    assert "self-signed" in feed.feed.where.why or "issuer" in feed.feed.where.why
    assert not any(got)
    server.close()
