"""`--devices`: a node opens, its neighbours do not exist; what reaches the kernel is refused."""

from __future__ import annotations

import os
import subprocess

import pytest
from tiers import Tier

from belljar.confine.devices import add
from belljar.confine.view import View
from belljar.errors import PolicyError
from belljar.model import Policy

# in a mount namespace of its own: a harmless device, with a name that can be granted
BIND = 'mount --bind /dev/zero /dev/hwrng && exec "$@"'
STAND_IN = ["unshare", "--mount", "/bin/sh", "-c", BIND, "-"]
CODE = """
import errno, fcntl, os
fd = os.open("/dev/hwrng", os.O_RDWR)
print(os.read(fd, 4), os.write(fd, b"x"))
for request in (0x5412, 0x8912, 0x6602, 0xC0104634):
    try:
        fcntl.ioctl(fd, request, b" " * 64)
    except OSError as error:
        print(errno.errorcode[error.errno])
print(os.path.exists("/dev/kmsg"), os.path.exists("/dev/tty"))
"""


def run(tier: Tier, *words: str) -> tuple[int, str, str]:
    argv = [*STAND_IN, *tier.command(), "run", "--quiet", *words, "-c", CODE]
    done = subprocess.run(
        argv, env=tier.env, cwd=tier.home, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout, done.stderr


def test_a_granted_device_opens_and_no_other_is_there(tier: Tier) -> None:
    if tier.name != "root" or not os.path.exists("/dev/hwrng"):
        return  # the stand-in for a device needs root
    status, out, err = run(tier, "--devices", "/dev/hwrng")
    assert status == 0, err
    assert out == "b'\\x00\\x00\\x00\\x00' 1\n" + "ENOTTY\n" * 4 + "False False\n"


def test_requests_to_drivers_are_open_only_where_that_is_accepted(tier: Tier) -> None:
    if tier.name != "root" or not os.path.exists("/dev/hwrng"):
        return  # the stand-in for a device needs root
    result = tier.home / "result.json"
    words = ("--devices", "/dev/hwrng", "--accept-partial", "syscalls", "--result", str(result))
    status, out, err = run(tier, *words)
    assert status == 0, err
    # the last is the driver's own answer; terminals, sockets and file systems stay closed
    assert out.splitlines()[1:4] == ["ENOTTY"] * 3
    assert '"syscalls": {"level": "partial"' in result.read_text()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/dev/kmsg", "never granted"),
        ("/dev/tty", "never granted"),
        ("/dev/ptmx", "never granted"),
        ("/dev/fuse", "never granted"),
        ("/dev/net/tun", "never granted"),
        ("/dev/loop-control", "never granted"),
        ("/dev/vda", "is a disk"),
        ("/dev/shm", "is not a character device"),
        ("/dev/fd", "is not beneath /dev"),
        ("/dev/no-such", "No such file"),
    ],
)
def test_what_reaches_the_kernel_is_never_granted(path: str, said: str) -> None:
    if not os.path.exists(path) and "no-such" not in path:
        return  # not on this machine
    with pytest.raises(PolicyError, match=said):
        add(View(isolated=True), Policy(devices=(path,)), "user")


def test_a_device_that_the_guest_could_not_open_is_said(tier: Tier) -> None:
    if not os.path.exists("/dev/hwrng") or tier.name == "container":  # its guest is the owner
        return  # not on this machine
    process = tier.start("run", "--devices", "/dev/hwrng", "-c", "print('ran')")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (125, b"")
    assert b"open" in err
    assert len(err.splitlines()) == 1
