import os

from arms import P, attempt, channel


@attempt
def deed():
    fd = channel()
    if fd is not None:
        try:
            os.close(fd)
        except OSError:
            pass
    print(open(P["secret"]).read())
