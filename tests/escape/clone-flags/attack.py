import os

from arms import any_works, attempt, call


def clone(flags):
    pid = call("clone", flags | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


@attempt
def deed():
    return any_works(
        *(
            lambda f=f: clone(f)
            for f in (0x10000000, 0x20000, 0x40000000, 0x20000000, 0x8000000, 0x4000000, 0x2000000)
        )
    )
