import os

from arms import any_works, attempt, call


def spawn(name, *args):
    pid = call(name, *args)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


@attempt
def deed():
    return any_works(
        lambda: spawn("fork"),
        lambda: spawn("clone", 17, 0, 0, 0, 0),
        lambda: spawn("clone3", bytes(32) + (17).to_bytes(8, "little") + bytes(24), 64),
    )
