"""`devices`: character devices that the guest may open, a GPU's say.

A device is as strong as its driver. Refused is what would change the kernel, the wall or other
people's input: memory, terminals, raw disks, tunnels, virtual machines' and input's makers.
Requests by `ioctl` reach beyond one device in the filter, which cannot see which file they are
for: they are open only where the policy accepts that (`accept-partial = ["syscalls"]`), and never
for terminals, sockets and file systems.
"""

from __future__ import annotations

import os

from belljar.confine.sensitive import beneath
from belljar.errors import PolicyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from belljar.confine.view import View
    from belljar.model import Policy

_KEY = "process.devices"
#: linux/Documentation/admin-guide/devices.txt. 1 is memory, 10 all that is small: only these.
_SMALL = {1: (3, 5, 7, 8, 9), 10: (183,)}  # null zero full random urandom; hwrng
#: Terminals, consoles (204, 229: serial ones and a hypervisor's), tapes, input, raw SCSI, flash,
#: ppp, processor registers.
_MAJORS = frozenset((2, 3, 4, 5, 7, 9, 13, 21, 90, 108, *range(128, 144), 202, 203, 204, 229))
#: Numbers of these are given out as the machine starts.
_NAMES = ("vfio", "vhost", "uinput", "uhid", "hidraw", "fuse", "cuse", "mapper", "net", "bus",
          "usb", "input", "nvme", "ng", "sg", "bsg", "mei", "tpm", "watchdog", "gpiochip", "mtd",
          "ipmi", "megaraid", "megaraid_sas_ioctl_node", "tpmrm", "userfaultfd", "snapshot",
          "port", "mem", "kmem", "kmsg", "vmci", "rfkill", "ptp", "i2c", "spidev")  # fmt: skip


def asks(policy: Policy) -> bool:
    """Whether requests by ioctl are to be open for the devices."""
    return bool(policy.devices) and "syscalls" in policy.accept_partial


def add(view: View, policy: Policy, tier: str) -> list[str]:
    """Put them into the view; words for the plan. Raises `PolicyError`."""
    place = policy.origin(_KEY)
    for path in policy.devices:
        real = os.path.realpath(path)
        try:
            stat = os.stat(real)
        except OSError as error:
            raise PolicyError(place, f"devices = {path}: {error.strerror}") from error
        reason = _reason(real, stat)
        if not reason:
            reason = _closed(real, stat, tier)
        if not view.isolated and real != path:
            reason = f"is a link, which needs mount namespaces; grant {real}"
        if reason:
            raise PolicyError(place, f"devices = {path}: {reason}")
        rights = "rwi" if asks(policy) else "rw"
        if path not in view.window or not view.isolated:  # null and its like are there
            view.bind(real, path, "wd", rights, stat)
    return ["allow", "ioctl"] if asks(policy) else []


def _reason(real: str, stat: os.stat_result) -> str:
    if not beneath(real, "/dev"):
        return f"leads to {real}, which is not beneath /dev"
    if stat.st_mode & 0o170000 == 0o060000:
        return "is a disk; grant files"
    if stat.st_mode & 0o170000 != 0o020000:
        return "is not a character device"
    major, minor = os.major(stat.st_rdev), os.minor(stat.st_rdev)
    names = [_kind(part) for part in real.split("/")[2:]]
    small = major in _SMALL and minor not in _SMALL[major]
    if small or major in _MAJORS or any(part in _NAMES for part in names):
        return "reaches the kernel, a terminal, a disk or other people's input: never granted"
    return ""


def _kind(name: str) -> str:
    """A device's name without its number.

    >>> _kind("i2c-1"), _kind("spidev0.0"), _kind("ng0n1"), _kind("null")
    ('i2c', 'spidev', 'ng', 'null')
    """
    short = name.rstrip("0123456789.-")
    kind = short.removesuffix("n").rstrip("0123456789")  # a name space of a disk: ng0n1
    return kind if short.endswith("n") and kind + "n" != short else short


def _closed(real: str, stat: os.stat_result, tier: str) -> str:
    """Root's guest is nobody's owner and in no group: only what is open to all opens for it."""
    if tier == "root" and stat.st_mode & 0o006 != 0o006:
        return "is open to its owner and group only; run as a user who may open it"
    if tier != "root" and not os.access(real, os.R_OK | os.W_OK):
        return "you may not open it yourself"
    return ""
