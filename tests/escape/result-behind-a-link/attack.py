import os

from arms import P, attempt


@attempt
def deed():
    try:
        with open(P["other"] + "/victim.txt", "w") as file:
            file.write("overwritten")
    except OSError:
        pass
    for near in range(P["near"] - 10, P["near"] + 1500):
        os.symlink(P["other"] + "/victim.txt", f"{P['out']}/result.json.{near}.tmp")
    os.symlink(P["other"] + "/victim.txt", f"{P['out']}/result.json")
    return False
