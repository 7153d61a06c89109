import os

from arms import P, any_works, attempt, native

PATHS = ("link", "linkdir/secret.txt", "linkdir/../home/secret.txt", "../home/secret.txt")


@attempt
def deed():
    def add(path, flags):
        fd = native("open", f"{P['data']}/{path}".encode(), flags, 0o644)
        os.write(fd, b"x")

    flags = os.O_WRONLY | os.O_APPEND
    return any_works(*(lambda p=p, f=f: add(p, flags | f) for f in (0, os.O_CREAT) for p in PATHS))
