import os

from arms import any_works, attempt, native


@attempt
def deed():
    return any_works(
        lambda: native("setuid", os.getuid()),
        lambda: native("setresgid", os.getgid(), os.getgid(), os.getgid()),
        lambda: native("setuid", 0),
    )
