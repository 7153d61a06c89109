import os
import shutil

from arms import P, attempt


@attempt
def deed():
    with open(P["data"] + "/notes.txt", "a") as file:
        file.write("changed\n")
    os.chmod(P["data"] + "/notes.txt", 0o666)
    shutil.rmtree(P["data"] + "/deep")
    os.rename(P["data"] + "/notes.txt", P["data"] + "/other.txt")
