"""What some attacks need of the machine or the user to succeed where nothing holds them."""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import struct
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile


def lacks(case: dict) -> str:
    """What this machine or user lacks for the unconfined attack of `case` to work."""
    need = case.get("needs", "")
    return WORDS[need] if need and not HAS[need]() else ""


def _root() -> bool:
    return os.geteuid() == 0


def _tiocsti() -> bool:
    return _root() or Path("/proc/sys/dev/tty/legacy_tiocsti").read_text() != "0\n"


def _old_convention() -> bool:
    return Path("/proc/sys/abi/vsyscall32").exists()


def _inode_flags() -> bool:
    with TemporaryFile(dir="/var/tmp") as file:
        try:
            fcntl.ioctl(file, 0x40086602, struct.pack("=Q", 0x40))
        except OSError:
            return False
    return True


def _secret_memory() -> bool:
    fd = ctypes.CDLL(None).syscall(447, 0)
    if fd >= 0:
        os.close(fd)
    return fd >= 0


HAS = {
    "root": _root,
    "perf": _root,
    "writable-runtime": lambda: os.access(sysconfig.get_path("purelib"), os.W_OK),
    "tiocsti": _tiocsti,
    "x86-64": lambda: platform.machine() == "x86_64",
    "int80": _old_convention,
    "inode-flags": _inode_flags,
    "memfd-secret": _secret_memory,
    "numpy": lambda: find_spec("numpy") is not None,
}
WORDS = {
    "root": "the attack needs root to succeed unconfined",
    "perf": "performance counters need root",
    "writable-runtime": "the interpreter's directories are not writable",
    "tiocsti": "TIOCSTI is off on this machine",
    "x86-64": "a call of x86-64",
    "int80": "this kernel has no 32-bit calling convention",
    "inode-flags": "the file system has no inode flags",
    "numpy": "numpy is not installed",
    "memfd-secret": "memfd_secret is off on this machine",
}
