import os

from arms import P, attempt, native, read_native


@attempt
def deed():
    fd = native("open", (P["data"] + "/deep").encode(), os.O_PATH)
    native("fchdir", fd)
    print(read_native("../../home/secret.txt"))
