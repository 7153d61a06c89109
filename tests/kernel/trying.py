"""Runs in the guest and outside: tries everything, prints what was refused and by which error."""

import ctypes
import errno
import json
import os
import platform
import resource
import signal
import socket
import sys
import threading
import time

P = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p


def c(name, *args):
    ctypes.set_errno(0)
    result = getattr(libc, name)(*args)
    if result == -1:
        raise OSError(ctypes.get_errno(), name)
    return result


def prey(name):
    return f"{P['prey']}/{name}".encode()


def read():
    os.read(c("open", prey("secret"), os.O_RDONLY), 9)


def write():
    os.close(c("open", prey("victim"), os.O_WRONLY))


def create():
    os.close(c("open", prey("new"), os.O_WRONLY | os.O_CREAT, 0o600))
    os.unlink(prey("new"))


def delete():
    c("unlink", prey("doomed"))
    open(prey("doomed"), "w").close()


def rename():
    c("rename", prey("doomed"), prey("doomed2"))
    os.rename(prey("doomed2"), prey("doomed"))


def listing():
    os.listdir(c("open", P["prey"].encode(), os.O_RDONLY | os.O_DIRECTORY))


def stat():
    c("access", prey("secret"), 0)


def chmod():
    c("chmod", prey("secret"), 0o644)


def tcp():
    socket.socket().connect(("127.0.0.1", P["tcp"]))


def udp():
    s = socket.socket(type=socket.SOCK_DGRAM)
    try:
        s.sendto(b"x", ("127.0.0.1", P["udp"]))
    except OSError:
        s.sendmsg([b"x"], [], 0, ("127.0.0.1", P["udp"]))


def unix():
    socket.socket(socket.AF_UNIX).connect(P["unix"])


def netlink():
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()


def listen():
    s = socket.socket()
    s.listen()
    s.close()


def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def execute():
    if os.path.exists("/bin/true"):
        os.posix_spawn("/bin/true", ["true"], {})
    else:
        os.posix_spawn(sys.executable, ["python", "-c", "pass"], {})


def kill():
    os.kill(P["pid"], 0)
    os.kill(P["pid"], signal.SIGCONT)


def ptrace():
    c("ptrace", 0x4206, P["pid"], None, None)


def unshare():
    c("unshare", 0x10000000)


def mount():
    c("mount", b"x", prey(""), b"tmpfs", 0, None)
    c("umount2", prey(""), 0)


def memfd():
    os.close(c("memfd_create", b"x", 0))


def setuid():
    c("setuid", 0)


def descriptors():
    kept = []
    try:
        for _ in range(200):
            kept.append(os.open("/dev/null", os.O_RDONLY))
    finally:  # the attempts that follow need some
        for fd in kept:
            os.close(fd)


def threads():
    threading.stack_size(256 * 1024)  # what is tried is their number, not their memory
    stop = threading.Event()
    kept = [threading.Thread(target=stop.wait, daemon=True) for _ in range(60)]
    try:
        for thread in kept:
            thread.start()
    finally:
        stop.set()
        time.sleep(0.1)


def native():
    assert ctypes.CDLL(P["granted"] + "/native.so").answer() == 42


def memory():
    bytearray(400 << 20)


#: number on x86-64 and arm64, arguments with which nothing would happen
REACHED = {
    "clone-namespace": (56, 220, 0x10000000 | 0x40000000 | signal.SIGCHLD, 0, 0, 0, 0),
    "unshare-mounts": (272, 97, 0x20000),
    "setns": (308, 268, -1, 0),
    "umount": (166, 39, 0, 0),
    "pivot-root": (155, 41, 0, 0),
    "open-tree": (428, 428, -1, 0, 0),
    "move-mount": (429, 429, -1, 0, -1, 0, 0),
    "fsopen": (430, 430, 0, 0),
    "mount-setattr": (442, 442, -1, 0, 0, 0, 0),
    "chroot": (161, 51, 0),
    "pidfd-open": (434, 434, -1, 0),
    "pidfd-getfd": (438, 438, -1, 0, 0),
    "pidfd-signal": (424, 424, -1, 0, 0, 0),
    "process-read": (310, 270, -1, 0, 0, 0, 0, 0),
    "process-write": (311, 271, -1, 0, 0, 0, 0, 0),
    "kcmp": (312, 272, -1, -1, 99, 0, 0),
    "io-uring": (425, 425, 0, 0),
    "bpf": (321, 280, 99, 0, 0),
    "perf": (298, 241, 0, 0, 0, -1, 0),
    "keyctl": (250, 219, 99, 0, 0, 0, 0),
    "add-key": (248, 217, 0, 0, 0, 0, 0),
    "userfaultfd": (323, 282, 0xFF),
    "fanotify": (300, 262, 0, 0),
    "handle": (304, 265, -1, 0, 0),
    "personality": (135, 92, 0xFFFFFFFF),
    "seccomp": (317, 277, 99, 0, 0),
    "landlock": (444, 444, 0, 0, 0),
    "module": (313, 273, -1, 0, 0),
    "kexec": (246, 104, 0, 0, 0, 0),
    "reboot": (169, 142, 0, 0, 0, 0),
    "quota": (179, 60, 0, 0, 0, 0),
    "syslog": (103, 116, 99, 0, 0),
    "clock": (227, 112, 0, 0),
    "host-name": (170, 161, 0, -1),
    "exec-descriptor": (322, 281, -1, 0, 0, 0, 0),
    "shared-memory": (29, 194, 0, 0, 0),
    "message-queue": (240, 180, 0, 0, 0, 0),
}


def reach(name):
    """The wall lets the call through, whatever the kernel then says of its arguments."""
    number = REACHED[name][0 if platform.machine() == "x86_64" else 1]
    ctypes.set_errno(0)
    pid = libc.syscall(number, *map(ctypes.c_long, REACHED[name][2:]))
    if name == "clone-namespace" and pid == 0:
        os._exit(0)
    if pid == -1 and ctypes.get_errno() in (errno.EPERM, errno.EACCES, errno.ENOSYS):
        raise OSError(ctypes.get_errno(), name)
    if name == "clone-namespace":
        os.waitpid(pid, 0)


def socket_of(family, kind, protocol):
    socket.socket(family, kind, protocol).close()


SOCKETS = {
    "packet-socket": (17, socket.SOCK_RAW, 0),
    "raw-socket": (socket.AF_INET, socket.SOCK_RAW, 1),
    "vsock": (40, socket.SOCK_STREAM, 0),
    "alg-socket": (38, socket.SOCK_SEQPACKET, 0),
    "mptcp": (socket.AF_INET, socket.SOCK_STREAM, 262),
    "local-datagram": (socket.AF_UNIX, socket.SOCK_DGRAM, 0),
}

TRIES = (
    read,
    write,
    create,
    delete,
    rename,
    listing,
    stat,
    chmod,
    tcp,
    udp,
    unix,
    netlink,
    listen,
    fork,
    execute,
    kill,
    ptrace,
    memfd,
    descriptors,
    threads,
    native,
    memory,
    setuid,
    mount,
)
NAMES = {"listing": "list", "execute": "exec"}


def main():
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert soft > 30
    refused = {}
    deeds = [(NAMES.get(deed.__name__, deed.__name__), deed) for deed in TRIES]
    deeds += [(name, lambda name=name: reach(name)) for name in REACHED]
    deeds += [(name, lambda name=name: socket_of(*SOCKETS[name])) for name in SOCKETS]
    deeds.append(("unshare", unshare))  # where it succeeds, the rest is done in another namespace
    for name, deed in deeds:
        try:
            deed()
            why = ""
        except OSError as error:
            why = errno.errorcode.get(error.errno, type(error).__name__)
        except Exception as error:
            why = type(error).__name__
        refused[name] = why
    print(json.dumps(refused))


main()
