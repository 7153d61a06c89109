import errno
import os

from arms import P, attempt, native


def answers(path):
    p, out = os.fsencode(path), []
    buffer = bytes(4096)
    for name, *args in (
        ("access", p, 0),
        ("chdir", p),
        ("chmod", p, 0o600),
        ("link", p, p + b"2"),
        ("mkdir", p, 0o700),
        ("open", p, 0),
        ("open", p, os.O_WRONLY),
        ("open", p + b"/", 0),
        ("opendir_", p),
        ("readlink", p, buffer, 100),
        ("rename", p, p),
        ("rmdir", p),
        ("stat", p, buffer),
        ("lstat", p, buffer),
        ("statfs", p, buffer),
        ("symlink", b"x", p),
        ("truncate", p, 99),
        ("unlink", p + b"/"),
        ("utimes", p, None),
        ("getxattr", p, b"user.x", None, 0),
        ("inotify", p),
        ("statx", -100, p, 0, 0xFFF, buffer),
        ("mkfifo", p, 0o600),
        ("open", p, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600),
        ("execl", p, p, None),
        ("open", p + b"/x", 0),
        ("access", os.path.dirname(p), 0),
    ):
        try:
            if name == "opendir_":
                out.append((name, native("open", p, os.O_DIRECTORY)))
            elif name == "inotify":
                out.append((name, native("inotify_add_watch", native("inotify_init"), p, 1)))
            else:
                native(name, *args)
                out.append((name, "done"))
        except OSError as error:
            out.append((name, errno.errorcode[error.errno]))
    return out


@attempt
def deed():
    there, missing = answers(P["secret"]), answers(P["secret"] + ".no")
    return [(a, b) for a, b in zip(there, missing) if a[1] != b[1]]
