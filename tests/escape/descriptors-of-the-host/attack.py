import os

from arms import P, attempt, read_native


@attempt
def deed():
    last = FileNotFoundError(2, "none")
    for pid in (P["near"], os.getppid(), 1):
        for fd in range(3, 60):
            try:
                if os.readlink(f"/proc/{pid}/fd/{fd}") == P["secret"]:
                    print(read_native(f"/proc/{pid}/fd/{fd}"))
                    return
            except OSError as error:
                last = error
    raise last
