"""What the guest is told of the host's network: neutral answers, or with `net-info` the host's own.

In a namespace of its own the guest has its own host name and interfaces, whatever it asks the
kernel. With `net-info` it has the host's name, and the rest as files: copies, made at the start.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.confine.network import Net
    from belljar.confine.view import View
    from belljar.model import Policy

#: The guest's own name; every guest has the same.
NAME: Final = "belljar"
_NEUTRAL: Final = {
    "/etc/hostname": f"{NAME}\n",
    "/etc/resolv.conf": "# No DNS here: granted names are in the hosts file.\n",
}
_FILES: Final = ("/etc/hostname", "/etc/resolv.conf")
_TABLES: Final = ("dev", "route", "if_inet6", "ipv6_route", "arp")
_FACTS: Final = ("address", "mtu", "operstate", "speed", "type", "ifindex", "flags")
_LARGEST: Final = 64 << 10


def show(view: View, policy: Policy, net: Net) -> list[str]:
    """Put the network's facts into the view; words for the keeper."""
    if not view.isolated:
        if policy.net_info:
            for path in (*_FILES, "/etc/hosts"):
                if os.path.exists(path):
                    view.allow(os.path.realpath(path), "r")
        return []
    if not policy.net_info:
        for path, text in _NEUTRAL.items():
            view.file(path, text)
        view.file("/etc/hosts", f"{net.hosts}127.0.0.1 {NAME}\n")
        return []
    view.file("/etc/hosts", net.hosts)
    wanted = [*_FILES, *(f"/proc/net/{name}" for name in _TABLES)]
    try:
        for interface in sorted(os.listdir("/sys/class/net"))[:64]:
            wanted += (f"/sys/class/net/{interface}/{fact}" for fact in _FACTS)
    except OSError:
        pass  # no sysfs on this machine
    for path in wanted:
        found = _read(path)
        if found is not None:
            view.file(path, found)
    for path in ("/proc/net", "/sys/class/net"):
        view.allow(path, "rl")
    return ["host-name", os.uname().nodename]


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_LARGEST).replace("\0", "")
    except OSError:
        return None  # not on this machine, or not to be read (the speed of a loopback)
