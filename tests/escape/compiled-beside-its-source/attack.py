import importlib.util
import os
import py_compile

from arms import P, attempt


@attempt
def deed():
    path = P["out"] + "/twofold.py"
    with open(path, "w") as file:
        file.write("print('EFFECT')")
    os.utime(path, (10**9, 10**9))
    py_compile.compile(path, doraise=True)
    with open(path, "w") as file:
        file.write("print('honest')")
    os.utime(path, (10**9, 10**9))
    spec = importlib.util.spec_from_file_location("twofold", path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
