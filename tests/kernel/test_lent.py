"""Open files of the host's that a guest has: their modes, owners and times stay what they were."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tiers import Tier

TRY = """
import ctypes, os, sys
library = ctypes.CDLL(None, use_errno=True)
done = []
def attempt(name, deed):
    try:
        if deed() == -1:
            raise OSError(ctypes.get_errno(), "")
        done.append(name)
    except PermissionError:
        pass
for fd in (0, 1, 2):
    attempt("fchmod", lambda: os.fchmod(fd, 0o777))
    attempt("fchown", lambda: os.fchown(fd, os.getuid(), os.getgid()))
    attempt("utime", lambda: os.utime(fd, (1, 1)))
    attempt("fchmodat2", lambda: library.syscall(452, fd, b"", 0o777, 0x1000))
    attempt("fchownat", lambda: library.fchownat(fd, b"", os.getuid(), os.getgid(), 0x1000))
open("work/made.txt", "w").close()
os.chmod("work/made.txt", 0o600)
os.utime("work/made.txt", (5, 5))
os.write(2, (" ".join(done) or "nothing").encode())
"""


def test_a_stream_that_is_the_hosts_keeps_its_mode_owner_and_times(tier: Tier) -> None:
    work = tier.home / "lent"
    subprocess.run(["/bin/rm", "-rf", str(work)], check=True)
    (work / "work").mkdir(parents=True)
    tier.own(work / "work")
    files = [work / name for name in ("in.txt", "out.txt", "err.txt")]
    before = []
    for file in files:
        file.write_text("")
        tier.own(file).chmod(0o640)
        before.append((file.stat().st_mode, file.stat().st_uid))
    flags = ("--stdin", "inherit", "--stdout", "inherit", "--stderr", "inherit")
    accept = ("--accept-partial", "output", "--import", "ctypes", "--write", str(work / "work"))
    words = ("run", "--quiet", *flags, *accept, "-c", TRY.replace("work/", f"{work}/work/"))
    with files[0].open("rb") as given, files[1].open("ab") as out, files[2].open("ab") as err:
        process = tier.start(*words, stdin=given, stdout=out, stderr=err)
        assert process.wait(60) in (0, 1), files[2].read_text()
    said = files[2].read_text()
    if tier.kind == "landlock":  # there no mode can be changed at all
        assert "PermissionError" in said
    else:
        assert said == "nothing"
        made = work / "work" / "made.txt"
        assert (made.stat().st_mode & 0o777, made.stat().st_mtime) == (0o600, 5)
    assert [(f.stat().st_mode, f.stat().st_uid) for f in files] == before
    assert all(Path(f).stat().st_mtime > 5 for f in files)
