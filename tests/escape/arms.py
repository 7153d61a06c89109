"""Lies beside every attack: what it knows of its stage, and how it speaks.

An attack is a function under `@attempt`. It prints EFFECT where the function returns something
true, else BLOCKED and the name of the error.
"""

import errno
import json
import os
import platform
import stat
import struct
import sys

P = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
if P and not os.path.exists(P["python"]):  # in a runtime image: the guest's own name of it
    P["python"] = sys.executable

#: what a neighbour wrote down of itself, where a case has one
neighbour = {}
if P and os.path.exists(f"{P['out']}/neighbour.json"):
    with open(f"{P['out']}/neighbour.json") as _file:
        neighbour = json.load(_file)

# x86-64, arm64
CALLS = {
    "clone": (56, 220),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "ptrace": (101, 117),
    "mknodat": (259, 33),
    "unshare": (272, 97),
    "mount": (165, 40),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "process_vm_readv": (310, 270),
    "bpf": (321, 280),
    "execveat": (322, 281),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "clone3": (435, 435),
    "openat2": (437, 437),
    "fchmodat2": (452, 452),
    "keyctl": (250, 219),
    "perf_event_open": (298, 241),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "memfd_create": (319, 279),
    "dup3": (292, 24),
    "setns": (308, 268),
    "tkill": (200, 130),
    "pidfd_send_signal": (424, 424),
    "rt_sigqueueinfo": (129, 138),
    "ioprio_set": (251, 30),
    "seccomp": (317, 277),
    "landlock_create_ruleset": (444, 444),
    "landlock_restrict_self": (446, 446),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "kcmp": (312, 272),
    "pivot_root": (155, 41),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "fanotify_init": (300, 262),
}


def attempt(deed):
    try:
        verdict = "EFFECT" if deed() else "BLOCKED nothing"
    except OSError as error:
        verdict = f"BLOCKED {errno.errorcode.get(error.errno, type(error).__name__)}"
    except Exception as error:
        verdict = f"BLOCKED {type(error).__name__}"
    print(verdict, flush=True)
    return deed


def native(name, *args):
    """A function of the C library, past every window; raises OSError for -1."""
    import ctypes

    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    function.restype = ctypes.c_long if name == "syscall" else ctypes.c_int
    ctypes.set_errno(0)
    plain = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    result = function(*plain)
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def call(name, *args):
    """A system call by name."""
    number = CALLS[name][0 if platform.machine() == "x86_64" else 1]
    return native("syscall", number, *args)


def any_works(*deeds):
    """Try them all: true if one works, else the error of the last."""
    last, worked = None, False
    for deed in deeds:
        try:
            deed()
            worked = True
        except OSError as error:
            last = error
    if not worked and last is not None:
        raise last
    return worked


def all_refused(*deeds):
    """Errors of them all, comma-separated and sorted; None where one worked."""
    names = set()
    for deed in deeds:
        try:
            deed()
        except OSError as error:
            names.add(errno.errorcode[error.errno])
        else:
            return None
    return ",".join(sorted(names))


def read_native(path):
    fd = native("open", os.fsencode(path), os.O_RDONLY)
    return os.read(fd, 4096).decode()


def in4(port, host="127.0.0.1"):
    """A struct sockaddr_in."""
    import socket

    return (
        struct.pack("=H", socket.AF_INET)
        + struct.pack("!H", port)
        + socket.inet_aton(host)
        + bytes(8)
    )


def channel():
    """The descriptor on which the recorder writes, or None."""
    for fd in range(1023, 2, -1):
        try:
            os.get_blocking(fd)
        except OSError:
            continue
        try:
            if stat.S_ISFIFO(os.fstat(fd).st_mode):
                return fd
        except OSError:
            return fd  # it is there, and yet it is not: the recorder hides its own
    return None
