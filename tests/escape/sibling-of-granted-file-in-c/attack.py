import os

from arms import P, attempt, native, read_native


@attempt
def deed():
    fd = native("open", P["other"].encode(), os.O_RDONLY | os.O_DIRECTORY)
    print(os.listdir(fd), read_native(P["other"] + "/victim.txt"))
