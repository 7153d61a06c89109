import os

from arms import attempt


@attempt
def deed():
    return {"usr", "root", "home"} <= set(os.listdir("/"))
