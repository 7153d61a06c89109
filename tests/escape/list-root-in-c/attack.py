import os

from arms import attempt, native


@attempt
def deed():
    fd = native("open", b"/", os.O_RDONLY | os.O_DIRECTORY)
    return {"usr", "root", "home"} <= set(os.listdir(fd))
