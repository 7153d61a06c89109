# flags: --read {out} --write {out}
# args: {out}
# prints: locked
# prints: ours
# prints: whole 2
import fcntl
import os
import sys

path = f"{sys.argv[1]}/lock"
with open(path, "w") as one, open(path, "w") as two:
    fcntl.flock(one, fcntl.LOCK_EX)
    try:
        fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("locked")
    fcntl.flock(one, fcntl.LOCK_UN)
    fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.lockf(one, fcntl.LOCK_EX, 10)
    print("ours")
with open(f"{path}.new", "w") as file:
    file.write("whole")
    file.flush()
    os.fsync(file.fileno())
os.replace(f"{path}.new", path)
os.link(path, f"{path}.second")
print(open(path).read(), os.stat(path).st_nlink)
