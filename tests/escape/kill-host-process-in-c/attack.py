import os

from arms import P, any_works, attempt, call, native


@attempt
def deed():
    return any_works(
        lambda: native("kill", P["pid"], 9),
        lambda: call("tkill", P["pid"], 9),
        lambda: call("pidfd_open", P["pid"], 0),
        lambda: native("kill", -1 if os.getppid() == 1 else P["pid"], 0),
    )
