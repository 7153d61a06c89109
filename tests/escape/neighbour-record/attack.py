import glob
import os

from arms import any_works, attempt, neighbour


@attempt
def deed():
    return any_works(
        lambda: os.listdir(f"/proc/{neighbour['pid']}/fd"),
        *(lambda p=p: open(p, "rb") for p in glob.glob(neighbour["temporary"] + "*")),
    )
