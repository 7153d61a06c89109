import os

from arms import any_works, attempt

NAMES = ("ptmx", "tty", "kmsg", "mem", "fuse", "hwrng")


@attempt
def deed():
    return any_works(*(lambda n=n: os.close(os.open(f"/dev/{n}", os.O_RDONLY)) for n in NAMES))
