import os

from arms import P, attempt, native


@attempt
def deed():
    fd = os.open(P["data"] + "/notes.txt", os.O_RDONLY)
    native("fcntl", fd, 1024, 1)  # F_SETLEASE: others' open() waits for us
    return True
