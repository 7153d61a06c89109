"""The list of C hooks is overwritten through /proc/self/mem: no native code is needed."""

import os
import sys

from memory import hook_list

fd = os.open("/proc/self/mem", os.O_RDWR)
where = hook_list(lambda address, size: os.pread(fd, size, address))
if where is not None:
    os.pwrite(fd, bytes(8), where)
open(sys.argv[1], "w").close()
