"""Whoever may trace a process writes into it, and no event is raised there; before remote debugging
(3.14) through /proc/PID/mem.
"""

import os
import struct
import sys

from memory import hook_list

down, ready = os.pipe()
wait, go = os.pipe()
child = os.fork()
if child == 0:
    mem = os.open("/proc/self/mem", os.O_RDONLY)
    where = hook_list(lambda address, size: os.pread(mem, size, address))
    os.write(ready, struct.pack("<Q", where or 0))
    os.read(wait, 1)
    open(sys.argv[1], "w").close()
    os._exit(0)
where = struct.unpack("<Q", os.read(down, 8))[0]
if where:
    with open(f"/proc/{child}/mem", "r+b", buffering=0) as other:
        other.seek(where)
        other.write(bytes(8))
os.write(go, b"x")
os.waitpid(child, 0)
