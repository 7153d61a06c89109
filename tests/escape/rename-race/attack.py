import os
import threading
import time

from arms import P, attempt, read_native

out, end = P["out"], time.monotonic() + 0.4
os.mkdir(f"{out}/real")
with open(f"{out}/real/secret.txt", "w") as file:
    file.write("mine")
os.symlink(P["home"], f"{out}/false")


def swap():
    while time.monotonic() < end:
        for name in ("real", "false"):
            os.rename(f"{out}/{name}", f"{out}/door")
            os.rename(f"{out}/door", f"{out}/{name}")


@attempt
def deed():
    threading.Thread(target=swap).start()
    while time.monotonic() < end:
        for door in ("door", "false"):
            try:
                text = read_native(f"{out}/{door}/secret.txt")
            except OSError:
                continue
            if text != "mine":
                print(text)
                return
