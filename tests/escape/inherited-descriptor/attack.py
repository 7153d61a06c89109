import os

from arms import attempt


@attempt
def deed():
    for fd in range(3, 1024):
        try:
            os.lseek(fd, 0, 0)
            print(os.read(fd, 99))
        except OSError:
            pass
