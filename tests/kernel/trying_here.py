"""Runs behind START of `confining.py`: attacks from within a place that is granted, on what lies
beside it. `HELD` in the environment: confined first, with descriptors of the neighbourhood open.
"""

import fcntl
import json
import mmap
import os
import platform
import resource
import signal
import socket
import sys

call, confine, said = (globals()[name] for name in ("call", "confine", "said"))
place, away = sys.argv[1:]
inside, secret, victim = f"{place}/file", f"{away}/secret", f"{away}/victim"
root = os.open("/", os.O_PATH)
folder = os.open(away, os.O_RDONLY)
DEEDS = []


def deed(function):
    DEEDS.append(function)
    return function


def close(fd):
    os.close(fd)


@deed
def plant_setuid_by_chmod():
    call("chmod", inside.encode(), 0o4755)


@deed
def plant_setuid_by_creation():
    close(call("open", f"{place}/new".encode(), os.O_CREAT | os.O_WRONLY, 0o4755))


@deed
def plant_setgid_folder():
    call("mkdir", f"{place}/dir".encode(), 0o2755)


@deed
def link_out():
    call("link", secret.encode(), f"{place}/linked".encode())


@deed
def link_in():
    call("link", inside.encode(), f"{away}/linked".encode())


@deed
def move_out():
    call("rename", inside.encode(), f"{away}/moved".encode())
    call("rename", f"{away}/moved".encode(), inside.encode())


@deed
def move_in():
    call("rename", victim.encode(), f"{place}/moved".encode())
    call("rename", f"{place}/moved".encode(), victim.encode())


@deed
def read_through_a_link():
    os.symlink(secret, f"{place}/link")
    try:
        close(call("open", f"{place}/link".encode(), os.O_RDONLY))
    finally:
        os.unlink(f"{place}/link")


@deed
def read_beneath_a_handle():
    close(call("openat", root, secret[1:].encode(), os.O_RDONLY))


@deed
def read_beneath_a_directory():
    close(call("openat", folder, b"secret", os.O_RDONLY))


@deed
def write_beneath_a_directory():
    close(call("openat", folder, b"victim", os.O_WRONLY))


@deed
def remove_beneath_a_directory():
    call("symlinkat", b"x", folder, b"sym")
    call("unlinkat", folder, b"sym", 0)


@deed
def read_by_dots():
    close(call("open", f"{place}/../{os.path.basename(away)}/secret".encode(), os.O_RDONLY))


@deed
def truncate():
    call("truncate", victim.encode(), 100)


@deed
def plant_a_fifo():
    os.mkfifo(f"{away}/fifo")
    os.unlink(f"{away}/fifo")


@deed
def plant_a_device():
    call("mknod", f"{place}/zero".encode(), 0o020600, 0x105)
    os.unlink(f"{place}/zero")


@deed
def plant_a_socket():
    socket.socket(socket.AF_UNIX).bind(f"{place}/socket")
    os.unlink(f"{place}/socket")


@deed
def watch_a_folder():
    fd = call("inotify_init")
    call("inotify_add_watch", fd, away.encode(), 2)
    close(fd)


@deed
def read_own_memory():
    close(call("open", b"/proc/self/mem", os.O_RDWR))


@deed
def read_the_parents_environment():
    close(call("open", f"/proc/{os.getppid()}/environ".encode(), os.O_RDONLY))


@deed
def set_an_attribute():
    call("setxattr", victim.encode(), b"user.belljar", b"x", 1, 0)


@deed
def change_the_owner():
    call("chown", victim.encode(), os.getuid(), os.getgid())


@deed
def change_the_times():
    os.utime(victim)


@deed
def change_the_mode_of_what_is_open():
    call("fchmod", folder, 0o755)


@deed
def an_abstract_socket():
    socket.socket(socket.AF_UNIX).bind(f"\0belljar-{os.getpid()}")


@deed
def connect_by_sending():
    port = int(os.readlink(f"{place}/port"))
    socket.socket().sendto(b"x", 0x20000000, ("127.0.0.1", port))


@deed
def a_shell():
    assert os.system("true") == 0


@deed
def a_bare_clone():
    pid = call("syscall", 56 if platform.machine() == "x86_64" else 220, signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


@deed
def priority_of_the_parent():
    os.setpriority(os.PRIO_PROCESS, os.getppid(), os.getpriority(os.PRIO_PROCESS, os.getppid()))


@deed
def limits_of_the_parent():
    resource.prlimit(os.getppid(), resource.RLIMIT_CORE)


@deed
def processors_of_the_parent():
    os.sched_setaffinity(os.getppid(), os.sched_getaffinity(0))


@deed
def signal_the_parent():
    os.kill(os.getppid(), 0)


@deed
def signal_all():
    os.kill(-1, 0)


@deed
def dump_core():
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


@deed
def signals_by_descriptor():
    fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, os.getppid())


@deed
def memory_that_grows_down():
    mmap.mmap(-1, 1 << 16, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x100)


if os.environ.get("HELD"):
    confine(read=[place], write=[place], keep_fds=[root, folder])
print(json.dumps({deed.__name__: said(deed) for deed in DEEDS}))
