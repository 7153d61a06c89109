import fcntl
import os

from arms import P, any_works, attempt, native


@attempt
def deed():
    path = P["other"] + "/victim.txt"

    def loosen():
        fd = os.open(path, os.O_WRONLY | os.O_APPEND)
        fcntl.fcntl(fd, fcntl.F_SETFL, 0)
        os.pwrite(fd, b"changed", 0)

    def empty():
        os.ftruncate(os.open(path, os.O_WRONLY | os.O_TRUNC), 0)

    def replace():
        os.rename(path, path + ".old")

    return any_works(
        loosen,
        empty,
        replace,
        lambda: os.unlink(path),
        lambda: native("truncate", path.encode(), 0),
        lambda: os.open(path, os.O_RDWR),
    )
