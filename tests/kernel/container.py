"""Become what a default Docker container is, then execute the words given: uid 0 with its fourteen
capabilities, and a system-call filter that refuses what its profile refuses.

`python -I -S container.py COMMAND ...`. The list follows what the profile forbids to a container
without CAP_SYS_ADMIN, on the strict side: `pidfd_getfd` and `process_vm_readv` too, which newer
kernels are spared (seccomp(2), capabilities(7)).
"""

import ctypes
import errno
import os
import platform
import struct
import sys

# chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot
# mknod audit_write setfcap
KEPT = {0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31}

# x86-64, arm64
REFUSED = (
    (101, 117), (310, 270), (311, 271), (438, 438), (312, 272),  # ptrace ... kcmp
    (272, 97), (308, 268), (165, 40), (166, 39), (155, 41),  # unshare setns mount ... pivot_root
    (428, 428), (429, 429), (430, 430), (431, 431), (432, 432), (433, 433), (442, 442),
    (321, 280), (298, 241), (323, 282), (425, 425), (426, 426), (427, 427),
    (250, 219), (248, 217), (249, 218), (304, 265), (300, 262), (167, 224), (168, 225),
    (175, 105), (313, 273), (176, 106), (246, 104), (169, 142), (163, 89), (179, 60),
    (170, 161), (171, 162), (164, 170), (227, 112), (305, 266), (103, 116), (237, 235),
    (238, 237), (279, 239), (256, 238), (135, 92),
)  # fmt: skip
CLONE, CLONE3 = (56, 220), (435, 435)
NEW_NAMESPACES = 0x7E020000
ALLOW, ERROR = 0x7FFF0000, 0x00050000


def program(machine: str) -> bytes:
    """The filter, in the kernel's own words (struct sock_filter)."""
    column = {"x86_64": 0, "aarch64": 1}[machine]
    load, equal, any_bit, give = 0x20, 0x15, 0x45, 0x06
    words = [(load, 0, 0, 0)]
    for pair in REFUSED:
        words += [(equal, 0, 1, pair[column]), (give, 0, 0, ERROR | errno.EPERM)]
    words += [(equal, 0, 1, CLONE3[column]), (give, 0, 0, ERROR | errno.ENOSYS)]
    words += [(equal, 0, 3, CLONE[column]), (load, 0, 0, 16)]
    words += [(any_bit, 0, 1, NEW_NAMESPACES), (give, 0, 0, ERROR | errno.EPERM)]
    words += [(give, 0, 0, ALLOW)]
    return b"".join(struct.pack("=HBBI", *word) for word in words)


def enter() -> None:
    libc = ctypes.CDLL(None, use_errno=True)

    def must(result: int, what: str) -> None:
        if result:
            raise OSError(ctypes.get_errno(), what)

    code = program(platform.machine())
    memory = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("@HxxxxxxP", len(code) // 8, ctypes.addressof(memory))
    must(libc.prctl(22, 2, head, 0, 0), "seccomp")  # before the capability that it needs goes
    for number in range(41):
        if number not in KEPT:
            must(libc.prctl(24, number, 0, 0, 0), "bounding set")
    low = sum(1 << number for number in KEPT)
    sets = struct.pack("=6I", low, low, 0, 0, 0, 0)
    must(libc.capset(struct.pack("=Ii", 0x20080522, 0), sets), "capset")


if __name__ == "__main__":
    enter()
    os.execv(sys.argv[1], sys.argv[1:])
