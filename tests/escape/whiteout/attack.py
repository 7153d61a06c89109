import os

from arms import P, attempt, native


@attempt
def deed():
    a, b = (os.path.join(P["out"], n).encode() for n in ("aa", "bb"))
    open(a, "w").close()
    native("renameat2", -100, a, -100, b, 4)  # RENAME_WHITEOUT leaves a device in its place
    return os.path.exists(b)
