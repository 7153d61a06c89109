"""Runs in the guest and outside: tries everything, prints what was refused and by which error."""

import ctypes
import errno
import json
import os
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
    unshare,
)
NAMES = {"listing": "list", "execute": "exec"}


def main():
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert soft > 30
    refused = {}
    for deed in TRIES:
        try:
            deed()
            why = ""
        except OSError as error:
            why = errno.errorcode.get(error.errno, type(error).__name__)
        except Exception as error:
            why = type(error).__name__
        refused[NAMES.get(deed.__name__, deed.__name__)] = why
    print(json.dumps(refused))


main()
