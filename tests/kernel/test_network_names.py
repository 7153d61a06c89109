"""Granted host names and addresses, used by ordinary clients in a running guest."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from nets import Echo, run, v6
from tiers import Tier

CLIENT = r"""
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    struct addrinfo want = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *found;
    int error = argc < 3 ? 1 : getaddrinfo(argv[1], argv[2], &want, &found);
    if (error)
        return printf("%s\n", gai_strerror(error)), 1;
    for (; found; found = found->ai_next) {
        int fd = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
        char text[100] = "";
        if (connect(fd, found->ai_addr, found->ai_addrlen) < 0)
            continue;
        if (write(fd, "from C", 6) != 6 || read(fd, text, 99) < 0)
            return 2;
        return puts(text), 0;
    }
    return 3;
}
"""


@pytest.fixture(scope="module")
def client(kernel_base: Path) -> Path:
    """A C program that knows nothing of sandboxes: a name, a port, an echo."""
    target, source = kernel_base / "client", kernel_base / "client.c"
    source.write_text(CLIENT)
    subprocess.run(["cc", "-o", str(target), str(source)], check=True)
    return target


def test_a_granted_name_is_reached_by_python_and_by_c(tier: Tier, client: Path) -> None:
    code = """
import socket, subprocess, sys
client, port = sys.argv[1:]
with socket.create_connection(("db.example.test", int(port)), 5) as link:
    link.sendall(b"by name")
    print(link.recv(100).decode(), link.getpeername()[0])
print(socket.gethostbyname("db.example.test"), socket.gethostbyname_ex("db.example.test")[0])
if WITHIN:  # programs cannot be granted here: the same functions of the C library, from within
    import ctypes
    libc, found = ctypes.CDLL(None), ctypes.c_void_p()
    print(["from C"][libc.getaddrinfo(b"DB.example.test.", b"80", None, ctypes.byref(found))])
    libc.freeaddrinfo(found)
else:
    print(subprocess.run([client, "db.example.test", port], stdout=-1, text=True).stdout, end="")
print(len(socket.getaddrinfo("both.example.test", 1, type=1)))
try:
    socket.getaddrinfo("other.example.test", 80)
except socket.gaierror as error:
    print(type(error).__name__)
"""
    with Echo() as echo:
        flags = [f"{name}.example.test:{echo.port}" for name in ("db", "both")]
        flags = [word for flag in flags for word in ("--connect", flag)]
        within = tier.kind == "landlock"
        flags += ["--import", "ctypes"] if within else ["--run", str(client)]
        code = code.replace("WITHIN", str(within))
        done = run(tier, flags, code, str(client), str(echo.port))
    assert done.out.split("\n") == [
        "by name 127.0.0.1",
        "127.0.0.1 db.example.test",
        "from C",
        "2",
        "gaierror",
        "",
    ], done.err
    assert [(d["right"], d["target"]) for d in done.result["denials"]] == [
        ("resolve", "other.example.test")
    ]


def test_a_name_that_does_not_resolve_starts_nothing(tier: Tier) -> None:
    done = run(tier, ["--connect", "gone.example.test:80"], "print('ran')")
    assert (done.status, done.out) == (125, "")
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith("belljar: --connect: connect = gone.example.test")


def test_a_name_stands_for_what_it_stood_for_at_the_start(tier: Tier) -> None:
    """The hosts file of the guest cannot be changed, nor by an alias, nor by the environment."""
    code = """
import os, socket, sys
port = int(sys.argv[1])
try:
    open("/etc/hosts", "a").write("127.0.0.2 db.example.test\\n")
    print("changed")
except OSError as error:
    print(type(error).__name__)
for other in ("127.0.0.2", "0.0.0.0", "::ffff:127.0.0.2"):
    family = socket.AF_INET6 if ":" in other else socket.AF_INET
    print(socket.socket(family).connect_ex((other, port)))
with socket.create_connection(("db.example.test", port), 5) as link:
    print(link.getpeername()[0])
"""
    with Echo() as echo:
        done = run(tier, ["--connect", f"db.example.test:{echo.port}"], code, str(echo.port))
    refused = "FileNotFoundError" if tier.kind == "landlock" else "PermissionError"
    assert done.out.split() == [refused, "13", "13", "13", "127.0.0.1"], done.err


def test_addresses_and_networks_of_both_families(tier: Tier) -> None:
    code = """
import socket, sys
for port, hosts in ((int(sys.argv[1]), ("127.0.0.1", "127.9.9.9", "128.0.0.1")),
                    (int(sys.argv[2]), ("::1", "::ffff:127.0.0.1", "::2"))):
    for host in hosts:
        s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        s.settimeout(5)
        print(s.connect_ex((host, port)), end=" ")
"""
    if not v6():
        pytest.skip("no IPv6 on loopback")
    with Echo("0.0.0.0") as four, Echo("::1") as six:
        flags = ["--connect", f"127.0.0.0/8:{four.port}", "--connect", f"[::1/128]:{six.port}"]
        done = run(tier, flags, code, str(four.port), str(six.port))
    assert done.out.split() == ["0", "0", "13", "0", "13", "13"], done.err


def test_the_unspecified_address_is_no_way_to_loopback(tier: Tier) -> None:
    code = "import socket,sys; print(socket.socket().connect_ex(('0.0.0.0', int(sys.argv[1]))))"
    with Echo() as echo:
        done = run(tier, ["--connect", f"0.0.0.0/8:{echo.port}"], code, str(echo.port))
        assert not echo.heard
    assert done.out.split() == ["13"], done.err
