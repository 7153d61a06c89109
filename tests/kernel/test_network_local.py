"""Granted Unix sockets: the one that was granted, by its path, and no other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from nets import Echo, run
from tiers import Tier


@pytest.fixture
def place(tier: Tier) -> Iterator[Path]:
    """A directory of the tier's user for sockets."""
    folder = tier.home / "run"
    folder.mkdir()
    tier.own(folder)
    yield folder
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def test_a_granted_socket_is_used_by_ordinary_programs(tier: Tier, place: Path) -> None:
    code = """
import array, asyncio, os, socket, stat, sys, threading
path = sys.argv[1]
print(stat.S_ISSOCK(os.stat(path).st_mode), os.path.exists(path + ".no"))
with socket.socket(socket.AF_UNIX) as s:
    s.connect(path)
    s.sendall(b"plain")
    print(s.recv(100).decode(), s.getpeername() != "")
with socket.socket(socket.AF_UNIX) as s:
    s.settimeout(5)
    s.connect(path)
    s.sendmsg([b"with ", b"timeout"])
    print(s.recv(100).decode())
    try:
        s.connect(path)
    except OSError as error:
        print(type(error).__name__)
async def main():
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"asyncio")
    print((await reader.read(100)).decode())
    writer.close()
    await writer.wait_closed()
asyncio.run(main())
"""
    path = place / "db.sock"
    with Echo(str(path)):
        os.chmod(path, 0o666)
        done = run(tier, ["--connect", f"unix:{path}"], code, str(path))
    said = ["True False", "plain True", "with timeout", "asyncio"]
    again = "OSError"  # EISCONN, where the keeper may look at the socket
    assert [line for line in done.out.splitlines() if line != again] == said, done.err
    assert (again in done.out) == (tier.name != "container")
    assert done.result["denials"] == []
    assert done.result["receipt"]["protections"]["network"]["level"] == "full"


def test_no_other_socket_is_reached(tier: Tier, place: Path) -> None:
    code = """
import os, socket, sys
path, other, folder = sys.argv[1:4]
def new(kind=socket.SOCK_STREAM): return socket.socket(socket.AF_UNIX, kind)
os.chdir(folder)
deeds = (
    lambda: new().connect(other),
    lambda: new().connect("\\0" + other),
    lambda: new().connect(path + "/"),
    lambda: new().connect(os.path.dirname(path) + "/./" + os.path.basename(other)),
    lambda: new().connect(os.path.basename(other)),
    lambda: new(socket.SOCK_SEQPACKET).connect(other),
    lambda: new(socket.SOCK_DGRAM).sendto(b"escaped", other),
    lambda: new(socket.SOCK_SEQPACKET).sendto(b"escaped", other),
    lambda: new().sendmsg([b"escaped"], [], 0, other),
    lambda: new().bind(folder + "/new"),
    lambda: new().bind("\\0new"),
    lambda: new().bind(""),
    lambda: new().listen(),
)
for index, deed in enumerate(deeds):
    try:
        deed()
        print("worked", index)
    except OSError:
        pass
# put another socket in the granted one's place
try:
    os.rename(other, path)
except OSError:
    try:
        os.unlink(path)
        os.symlink(other, path)
    except OSError:
        pass
try:
    s = new()
    s.connect(path)
    s.sendall(b"honest")
    print(s.recv(100).decode())
except OSError:
    print("gone")
"""
    path, other = place / "db.sock", place / "other.sock"
    with Echo(str(path)) as granted, Echo(str(other)) as secret:
        for one in (path, other):
            os.chmod(one, 0o666)
            tier.own(one)
        flags = ["--connect", f"unix:{path}", "--write", str(place), "--read", str(place)]
        done = run(tier, flags, code, str(path), str(other), str(place))
        assert done.out == "honest\n", done.err
        assert (granted.heard, secret.heard) == ([b"honest"], [])


@pytest.mark.parametrize("what", ["missing", "a file", "a directory", "replaced"])
def test_what_is_no_socket_starts_nothing(tier: Tier, place: Path, what: str) -> None:
    path = place / "db.sock"
    if what == "a file":
        path.write_text("")
    granted = place if what == "a directory" else path
    if what == "replaced":
        path.symlink_to("/nowhere/db.sock")
    done = run(tier, ["--connect", f"unix:{granted}"], "print('ran')")
    assert (done.status, done.out) == (125, "")
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith(f"belljar: --connect: connect = unix:{granted}: ")
