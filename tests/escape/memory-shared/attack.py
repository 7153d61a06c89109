import mmap

from arms import attempt


@attempt
def deed():
    kept = []
    for _ in range(40):
        kept.append(mmap.mmap(-1, 50 << 20))
    return len(kept) == 40
