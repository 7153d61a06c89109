import os

from arms import any_works, attempt


@attempt
def deed():
    return any_works(
        lambda: os.open("/dev/tty", os.O_RDWR),
        lambda: os.open(os.ttyname(0), os.O_RDWR),
    )
