import os
import py_compile
import sys

from arms import P, attempt


@attempt
def deed():
    folder = P["out"]
    with open(folder + "/planted.py", "w") as file:
        file.write("print('EFFECT')")
    py_compile.compile(folder + "/planted.py", folder + "/planted.pyc", doraise=True)
    os.remove(folder + "/planted.py")
    sys.path.insert(0, folder)
    __import__("planted")
