import os

from arms import attempt


@attempt
def deed():
    os.system("echo EFFECT")
    return False
