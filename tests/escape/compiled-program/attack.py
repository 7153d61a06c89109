import os
import py_compile
import runpy

from arms import P, attempt


@attempt
def deed():
    source, compiled = P["out"] + "/program.py", P["out"] + "/program.pyc"
    with open(source, "w") as file:
        file.write("print('EFFECT')")
    py_compile.compile(source, compiled, doraise=True)
    os.remove(source)
    runpy.run_path(compiled)
