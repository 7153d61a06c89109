import mmap

from arms import P, attempt


@attempt
def deed():
    with open(P["data"] + "/notes.txt", "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
        m[:1] = b"X"
