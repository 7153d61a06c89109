"""Hooks survive a fork, the thread and the socket of whoever collects do not. Here the child is
made by a bare system call, and nobody tells the C library either.
"""

import ctypes
import os
import sys

call = ctypes.CDLL(None).syscall
child = call(57) if os.uname().machine == "x86_64" else call(220, 17, 0, 0, 0, 0)
if child == 0:
    open(sys.argv[1], "w").close()
    os._exit(0)
os.waitpid(child, 0)
