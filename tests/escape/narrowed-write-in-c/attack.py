import os

from arms import P, any_works, attempt, native

try:
    from belljar.guest import narrow
except ImportError:  # where nothing holds it

    def narrow(**_kept):
        return None


@attempt
def deed():
    narrow(read=[P["other"]], import_=["ctypes"])
    victim, other = (P["other"] + "/victim.txt").encode(), (P["other"] + "/new").encode()
    any_works(
        lambda: native("open", victim, os.O_WRONLY),
        lambda: native("truncate", victim, 1),
        lambda: native("creat", other, 0o600),
        lambda: native("rename", victim, other),
        lambda: native("link", victim, other),
        lambda: native("symlink", victim, other),
        lambda: native("mkdir", other, 0o700),
        lambda: native("unlink", victim),
        lambda: native("chmod", victim, 0o600),
        lambda: native("fchmodat", -100, victim, 0o600, 0),
        lambda: native("utimensat", -100, victim, None, 0),
        lambda: native("chown", victim, os.getuid(), os.getgid()),
    )
