import os

from arms import P, attempt


@attempt
def deed():
    print(open(P["data"] + "/linkdir/secret.txt").read(), os.listdir(P["data"] + "/linkdir"))
