import os

from arms import P, any_works, attempt, call, native


@attempt
def deed():
    p = (P["data"] + "/notes.txt").encode()
    fd = native("open", p, os.O_RDONLY)
    return any_works(
        lambda: native("chmod", p, 0o777),
        lambda: native("fchmod", fd, 0o777),
        lambda: native("chown", p, os.getuid(), os.getgid()),
        lambda: native("utimes", p, None),
        lambda: native("setxattr", p, b"user.x", b"1", 1, 0),
        lambda: native("fsetxattr", fd, b"user.x", b"1", 1, 0),
        lambda: call("fchmodat2", -100, p, 0o777, 0),
    )
