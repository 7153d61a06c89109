"""A missing right is a PermissionError, whether the window sees it or only the wall does."""

from __future__ import annotations

from tiers import Tier

PROGRAM = """
import os, sys
here, made = sys.argv[1], "/tmp/none"
fd = os.open(here, os.O_RDONLY)
file = os.open(here + "/kept", os.O_RDONLY)
os.chdir(here)
TRIES = {
    "open by a relative name": lambda: os.open("kept", os.O_WRONLY),
    "create by a relative name": lambda: os.open("new", os.O_WRONLY | os.O_CREAT, 0o600),
    "open beneath a descriptor": lambda: os.open("kept", os.O_RDWR, dir_fd=fd),
    "unlink beneath a descriptor": lambda: os.unlink("kept", dir_fd=fd),
    "rename beneath descriptors": lambda: os.rename("kept", "new", src_dir_fd=fd, dst_dir_fd=fd),
    "mkdir beneath a descriptor": lambda: os.mkdir("new", dir_fd=fd),
    "symlink beneath a descriptor": lambda: os.symlink("x", "new", dir_fd=fd),
    "link beneath a descriptor": lambda: os.link("kept", "new", src_dir_fd=fd, dst_dir_fd=fd),
    "fifo beneath a descriptor": lambda: os.mkfifo("new", dir_fd=fd),
    "chmod of a descriptor": lambda: os.fchmod(file, 0o777),
    "utime of a descriptor": lambda: os.utime(file),
    "truncate by an absolute name": lambda: os.truncate(here + "/kept", 0),
    "open for writing": lambda: open(here + "/kept", "w"),
}
for name, deed in TRIES.items():
    try:
        deed()
    except OSError as error:
        if type(error) is not PermissionError:
            print(f"{name}: {error!r}")
    else:
        print(f"{name}: got through")
print("tried")
"""


def test_what_only_the_wall_refuses_is_a_permission_error_as_well(tier: Tier) -> None:
    granted = tier.home / "granted-for-reading"
    granted.mkdir(exist_ok=True)
    tier.own(granted)
    kept = granted / "kept"
    kept.write_text("kept\n")
    tier.own(kept)
    process = tier.start("run", "--quiet", "--read", str(granted), "-c", PROGRAM, str(granted))
    out, err = process.communicate(timeout=60)
    assert (out, process.returncode) == (b"tried\n", 0), err.decode()
    assert kept.read_text() == "kept\n"
