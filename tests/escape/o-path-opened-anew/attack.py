import os

from arms import P, attempt, native, read_native


@attempt
def deed():
    fd = native("open", f"{P['data']}/link".encode(), os.O_PATH)
    print(read_native(f"/proc/self/fd/{fd}"))
