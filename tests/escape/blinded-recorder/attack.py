import os

from arms import P, attempt, channel


@attempt
def deed():
    fd = channel()
    if fd is not None:
        read, write = os.pipe()
        os.dup2(write, fd)
    print(open(P["secret"]).read())
