import os
import pathlib

from arms import P, attempt


def answers(path):
    out = []
    for deed in (
        lambda: open(path),
        lambda: open(path, "a"),
        lambda: open(path + "/x"),
        lambda: os.stat(path),
        lambda: os.remove(path + "/"),
        lambda: os.listdir(path),
        lambda: os.rename(path, path),
        lambda: os.chmod(path, 0o600),
        lambda: os.mkdir(path),
        lambda: os.readlink(path),
        lambda: os.access(path, 0) and None,
        lambda: os.path.exists(path),
        lambda: os.utime(path),
        lambda: os.symlink("x", path),
        lambda: os.link(path, path + "2"),
        lambda: os.truncate(path, 99),
        lambda: os.getxattr(path, "user.x"),
        lambda: os.chdir(path),
        lambda: os.statvfs(path),
        lambda: pathlib.Path(path).is_file(),
        lambda: list(os.scandir(path)),
        lambda: os.open(path, os.O_PATH),
        lambda: os.execv(path, ["x"]),
    ):
        try:
            out.append(deed())
        except OSError as error:
            out.append((type(error), error.errno, str(error).replace(path, "")))
    return [repr(o) if not hasattr(o, "read") else "file" for o in out]


@attempt
def deed():
    there, missing = answers(P["secret"]), answers(P["secret"] + ".no")
    return [(a, b) for a, b in zip(there, missing) if a != b]
