import glob
import os

from arms import P, any_works, attempt, neighbour


@attempt
def deed():
    return any_works(
        lambda: print(open(neighbour["temporary"]).read() and "EFFECT"),
        lambda: os.unlink(neighbour["temporary"]),
    ) or bool(glob.glob(f"/tmp/*{P['nonce']}*"))
