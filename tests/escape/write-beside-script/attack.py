import os

from arms import attempt


@attempt
def deed():
    open(os.path.dirname(os.path.abspath(__file__)) + "/planted.py", "w").write("import os")
    return True
