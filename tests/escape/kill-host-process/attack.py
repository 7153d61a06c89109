import os

from arms import P, attempt


@attempt
def deed():
    os.kill(P["pid"], 9)
