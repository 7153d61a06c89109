import os
import py_compile
import sys

from arms import P, attempt


@attempt
def deed():
    path = P["out"] + "/stale.py"
    with open(path, "w") as file:
        file.write("print('EFFECT')")
    os.utime(path, (10**9, 10**9))
    py_compile.compile(path, doraise=True)
    with open(path, "w") as file:
        file.write("print('honest')")
    os.utime(path, (10**9, 10**9))
    sys.path.insert(0, P["out"])
    __import__("stale")
