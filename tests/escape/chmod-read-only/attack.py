import os

from arms import P, attempt


@attempt
def deed():
    os.chmod(P["data"] + "/notes.txt", 0o777)
