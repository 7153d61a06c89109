import os

from arms import P, attempt


@attempt
def deed():
    os.rename(P["data"] + "/notes.txt", P["out"] + "/n")
