"""The same, opened as `mem` relative to a directory, which the event of os.open does not tell."""

import os
import sys

from memory import hook_list

fd = os.open("mem", os.O_RDWR, dir_fd=os.open("/proc/self", os.O_RDONLY))
where = hook_list(lambda address, size: os.pread(fd, size, address))
if where is not None:
    os.pwrite(fd, bytes(8), where)
open(sys.argv[1], "w").close()
