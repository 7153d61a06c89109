import fcntl
import mmap
import os

from arms import P, any_works, attempt, native

PATH = P["data"] + "/notes.txt"


@attempt
def deed():
    def opened():
        return os.open(PATH, os.O_WRONLY | os.O_APPEND)

    def loosened():
        fd = opened()
        fcntl.fcntl(fd, fcntl.F_SETFL, 0)
        return fd

    def again():
        os.pwrite(os.open(f"/proc/self/fd/{opened()}", os.O_RDWR), b"N", 0)

    def mapped():
        with mmap.mmap(opened(), 5, mmap.MAP_SHARED, mmap.PROT_WRITE) as memory:
            memory[0] = 78

    return any_works(
        lambda: os.pwrite(loosened(), b"N", 0),
        lambda: os.lseek(loosened(), 0, os.SEEK_SET),
        lambda: os.ftruncate(opened(), 0),
        lambda: native("fallocate", opened(), 3, 0, 4096),
        lambda: os.fchmod(opened(), 0o777) or os.listdir(P["data"]),
        mapped,
        again,
        lambda: os.link(PATH, PATH + "2"),
        lambda: native("rename", PATH.encode(), (PATH + "2").encode()),
        lambda: native("unlink", PATH.encode()),
        lambda: native("truncate", PATH.encode(), 0),
        lambda: native("symlink", b"/etc/passwd", (PATH + "2").encode()),
        lambda: native("mkdir", (PATH + "2").encode(), 0o777),
        lambda: native("open", PATH.encode(), os.O_WRONLY | os.O_TRUNC),
        lambda: native("open", PATH.encode(), os.O_WRONLY),
        lambda: native("creat", PATH.encode(), 0o644),
        lambda: native("open", PATH.encode(), os.O_RDWR | os.O_CREAT, 0o644),
    )
