import os
import sys

from arms import P, attempt

SOURCE = """
import marshal

def go():
    exec(marshal.loads(marshal.dumps(compile("print('EFFECT')", "x", "exec"))))
"""


@attempt
def deed():
    folder = P["out"] + "/lib/python3.11"
    os.makedirs(folder)
    with open(folder + "/types_of_mine.py", "w") as file:
        file.write(SOURCE)
    sys.path.insert(0, folder)
    __import__("types_of_mine").go()
