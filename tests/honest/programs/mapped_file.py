# flags: --read {data} --write {out} --read {out}
# args: {data} {out}
# prints: b'a' 8 b'X'
import mmap
import sys

with (
    open(sys.argv[1] + "/lines.txt", "rb") as file,
    mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view,
):
    first, found = view[:1], view.find(b"ccccc")
with open(sys.argv[2] + "/m", "w+b") as file:
    file.write(bytes(4096))
    file.flush()
    with mmap.mmap(file.fileno(), 0) as view:
        view[0] = 88
    file.seek(0)
    print(first, found + 2, file.read(1))
