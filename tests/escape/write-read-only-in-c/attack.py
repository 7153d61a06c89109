import os

from arms import P, any_works, attempt, native


@attempt
def deed():
    d = P["data"].encode()
    return any_works(
        lambda: os.write(native("open", d + b"/notes.txt", os.O_WRONLY | os.O_APPEND), b"changed"),
        lambda: native("open", d + b"/notes.txt", os.O_RDONLY | os.O_TRUNC),
        lambda: native("truncate", d + b"/notes.txt", 0),
        lambda: native("unlink", d + b"/notes.txt"),
        lambda: native("open", d + b"/new", os.O_WRONLY | os.O_CREAT, 0o600),
        lambda: native("mkdir", d + b"/newdir", 0o700),
        lambda: native("symlink", b"x", d + b"/newlink"),
        lambda: native("rename", d + b"/deep", d + b"/deeper"),
        lambda: native("rmdir", d + b"/deep"),
        lambda: native("mkfifo", d + b"/newfifo", 0o600),
    )
