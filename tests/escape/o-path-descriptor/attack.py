import os

from arms import P, any_works, attempt, native


def up(flags):
    fd = native("open", P["data"].encode(), flags)
    inner = native("openat", fd, b"../home/secret.txt", os.O_RDONLY)
    print(os.read(inner, 100).decode())


@attempt
def deed():
    any_works(
        lambda: up(os.O_PATH | os.O_DIRECTORY),
        lambda: up(os.O_PATH | os.O_NOFOLLOW),
        lambda: up(os.O_RDONLY | os.O_DIRECTORY),
    )
