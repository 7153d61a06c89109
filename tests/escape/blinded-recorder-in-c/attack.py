import os

from arms import P, attempt, call, channel


@attempt
def deed():
    fd = channel()
    if fd is not None:
        read, write = os.pipe()
        call("dup3", write, fd, 0)
    print(open(P["secret"]).read())
