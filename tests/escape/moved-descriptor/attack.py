import os

from arms import P, attempt, native


@attempt
def deed():
    inner = f"{P['out']}/a/b/c"
    os.makedirs(inner)
    fd = os.open(inner, os.O_RDONLY)
    os.rename(f"{P['out']}/a/b/c", f"{P['out']}/c")
    for n in range(1, 8):
        try:
            got = native("openat", fd, ("../" * n + "home/secret.txt").encode(), os.O_RDONLY)
        except OSError as error:
            last = error
            continue
        print(os.read(got, 100).decode())
        return
    raise last
