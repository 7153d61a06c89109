"""_posixsubprocess.fork_exec starts a program without an event (before CPython 3.14)."""

import multiprocessing.util
import os
import sys

# It passes to fork_exec what this version of it wants.
child = multiprocessing.util.spawnv_passfds(b"/bin/touch", [b"touch", sys.argv[1].encode()], [])
os.waitpid(child, 0)
