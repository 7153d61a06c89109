from arms import P, any_works, attempt, native


@attempt
def deed():
    any_works(
        lambda: native("setxattr", P["secret"].encode(), b"user.x", b"1", 1, 0),
        lambda: native("setxattr", f"{P['data']}/notes.txt".encode(), b"user.x", b"1", 1, 0),
    )
