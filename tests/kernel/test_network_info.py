"""What a guest is told of the host's network, with and without `net-info`."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from nets import run
from tiers import Tier

CODE = r"""
import _socket, fcntl, json, os, platform, socket
def attempt(what):
    try:
        return what()
    except OSError as error:
        return type(error).__name__
read = lambda path: attempt(lambda: open(path).read())
s = socket.socketpair()[0]
print(json.dumps({
    "name": [socket.gethostname(), os.uname().nodename, platform.node()],
    "hostname": read("/etc/hostname"),
    "resolver": read("/etc/resolv.conf"),
    "routes": read("/proc/net/route"),
    "interfaces": attempt(lambda: os.listdir("/sys/class/net")),
    "asked": [
        attempt(lambda: fcntl.ioctl(s, 0x8912, bytes(40))),
        attempt(lambda: socket.socket(16, socket.SOCK_RAW, 0)),
    ],
    "indices": attempt(socket.if_nameindex),
    "one": [
        attempt(lambda: socket.if_nametoindex("lo")), attempt(lambda: socket.if_indextoname(1)),
        attempt(lambda: socket.if_nametoindex(b"none")),
        attempt(lambda: socket.if_indextoname(99999)),
    ],
    "loader": [type(one).__name__ for one in (_socket.__loader__, _socket.__spec__.loader)],
    "own": attempt(lambda: socket.gethostbyname(socket.gethostname())),
}))
"""


def ask(tier: Tier, *flags: str) -> dict:
    import json

    done = run(tier, list(flags), CODE)
    assert done.status == 0, done.err
    return json.loads(done.out)


def test_every_guest_is_told_the_same(tier: Tier) -> None:
    told = ask(tier)
    assert told["asked"] == ["OSError", "PermissionError"]
    assert told["indices"] == [[1, "lo"]]
    assert told["one"] == [1, "lo", "OSError", "OSError"]
    assert len(set(told["loader"])) == 1
    assert told["loader"] != ["_Then"] * 2
    assert told["routes"] in ("FileNotFoundError", "PermissionError")
    assert told["interfaces"] in ("FileNotFoundError", "PermissionError")
    if tier.kind == "landlock":
        assert told["resolver"] in ("FileNotFoundError", "PermissionError")
        return
    assert told["name"] == ["belljar"] * 3
    assert told["hostname"] == "belljar\n"
    assert "nameserver" not in told["resolver"]
    assert told["own"] == "127.0.0.1"


def test_with_net_info_it_is_told_what_the_host_is(tier: Tier) -> None:
    told = ask(tier, "--net-info")
    assert told["name"] == [os.uname().nodename] * 3
    for key, path in (("resolver", "/etc/resolv.conf"), ("hostname", "/etc/hostname")):
        if Path(path).exists():
            assert told[key] == Path(path).read_text()
    assert told["indices"] == [list(pair) for pair in socket.if_nameindex()]
    if tier.kind != "landlock":
        assert sorted(told["interfaces"]) == sorted(os.listdir("/sys/class/net"))
        assert told["routes"].startswith("Iface\t")
    assert told["asked"] == ["OSError", "PermissionError"]
