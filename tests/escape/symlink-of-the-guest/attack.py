import os

from arms import P, attempt


@attempt
def deed():
    os.symlink(P["secret"], P["out"] + "/way")
    print(open(P["out"] + "/way").read())
