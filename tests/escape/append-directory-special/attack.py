import os

from arms import P, any_works, attempt, native


@attempt
def deed():
    path = (P["out"] + "/new").encode()

    def later():
        os.fchmod(os.open(path + b"1", os.O_WRONLY | os.O_CREAT, 0o755), 0o4755)

    return any_works(
        later,
        lambda: native("mkfifo", path + b"2", 0o666),
        lambda: native("chmod", path + b"1", 0o4755),
        lambda: native("open", path + b"3", os.O_WRONLY | os.O_CREAT, 0o4755),
        lambda: native("creat", path + b"4", 0o2755),
    )
