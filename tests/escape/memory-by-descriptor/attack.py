import os

from arms import any_works, attempt, call, native


@attempt
def deed():
    return any_works(
        lambda: os.memfd_create("x"),
        lambda: call("memfd_create", b"x", 0),
        lambda: native("shmget", 0, 1 << 20, 0o1600),
    )
