import os
import py_compile
import sys
import zipfile

from arms import P, attempt


@attempt
def deed():
    source, compiled, archive = (P["out"] + "/packed" + end for end in (".py", ".pyc", ".zip"))
    with open(source, "w") as file:
        file.write("print('EFFECT')")
    py_compile.compile(source, compiled, doraise=True)
    with zipfile.ZipFile(archive, "w") as file:
        file.write(compiled, "packed.pyc")
    os.remove(source)
    os.remove(compiled)
    sys.path.insert(0, archive)
    __import__("packed")
