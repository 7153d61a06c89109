import os

from arms import P, any_works, attempt, read_native


@attempt
def deed():
    os.makedirs(f"{P['out']}/a/b")
    os.chdir(f"{P['out']}/a/b")
    os.rename(f"{P['out']}/a/b", f"{P['out']}/b")
    any_works(*(lambda n=n: print(read_native("../" * n + "home/secret.txt")) for n in range(1, 6)))
