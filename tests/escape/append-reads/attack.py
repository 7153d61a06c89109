import os

from arms import P, attempt, read_native


@attempt
def deed():
    path = P["secret"]
    try:
        print(os.read(os.open(path, os.O_RDWR), 100))
    except OSError:
        print(read_native(path))
