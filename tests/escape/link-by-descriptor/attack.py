import os

from arms import P, any_works, attempt, native


@attempt
def deed():
    fd = os.open(f"{P['data']}/notes.txt", os.O_RDONLY)
    to = f"{P['out']}/mine".encode()
    any_works(
        lambda: native("linkat", fd, b"", -100, to, 0x1000),
        lambda: native("linkat", -100, f"/proc/self/fd/{fd}".encode(), -100, to, 0x400),
    )
