import os

from arms import P, attempt


@attempt
def deed():
    fd = os.open(P["data"], os.O_RDONLY | os.O_DIRECTORY)
    print(os.read(os.open("../home/secret.txt", os.O_RDONLY, dir_fd=fd), 99))
