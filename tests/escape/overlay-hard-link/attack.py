import os

from arms import P, attempt


@attempt
def deed():
    one, two = P["data"] + "/deep/more.txt", P["data"] + "/deep/again.txt"
    os.link(one, two)
    fd = os.open(two, os.O_WRONLY | os.O_TRUNC)
    os.write(fd, b"changed\n")
    os.close(fd)
    try:
        os.link(P["other"] + "/victim.txt", P["data"] + "/victim.txt")
    except OSError:
        return
    with open(P["data"] + "/victim.txt", "w") as file:
        file.write("changed\n")
