import os

from arms import P, any_works, attempt, call, native


@attempt
def deed():
    path = P["secret"].encode()
    any_works(
        lambda: native("chmod", path, 0o600),
        lambda: native("fchmodat", -100, path, 0o601, 0),
        lambda: call("fchmodat2", -100, path, 0o602, 0),
        lambda: native("chown", path, os.getuid(), os.getgid() + 1),
        lambda: native("lchown", path, os.getuid(), os.getgid()),
    )
