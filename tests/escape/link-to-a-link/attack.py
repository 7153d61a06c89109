import os

from arms import P, any_works, attempt, read_native


@attempt
def deed():
    out = P["out"]
    os.symlink("..", f"{out}/one")
    os.symlink("one/home", f"{out}/two")
    os.symlink("two/secret.txt", f"{out}/three")
    any_works(
        lambda: print(read_native(f"{out}/three")),
        lambda: print(read_native(f"{out}/one/home/secret.txt")),
        lambda: print(read_native(f"{out}/./one/.//home/../home/secret.txt")),
    )
