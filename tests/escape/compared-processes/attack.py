import os

from arms import P, attempt, call


@attempt
def deed():
    return call("kcmp", os.getpid(), P["pid"], 2, 0, 0) >= 0
