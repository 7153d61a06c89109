"""What a run wrote that may be executed later is told at its end; special files cannot be made."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from tiers import Tier

GUEST = """
import errno, os, socket
os.chdir("planted")
for name in ("sub/.git/hooks/pre-commit", "lib/x.pth", ".bashrc", "deep/er/Makefile", "notes.txt",
             "tool", "quiet.txt", "pyproject.toml"):
    folder = os.path.dirname(name)
    if folder:
        os.makedirs(folder, exist_ok=True)
    with open(name, "w") as file:
        file.write("x")
os.chmod("tool", 0o755) if CHMOD else None
os.utime("lib/x.pth", (1, 1)) if CHMOD else None
said = []
for deed in (
    lambda: os.mkfifo("fifo"),
    lambda: os.mknod("device", 0o20666, os.makedev(1, 3)),
    lambda: os.mknod("whiteout", 0o20666, 0),
    lambda: socket.socket(socket.AF_UNIX).bind("socket"),
    lambda: os.chmod("notes.txt", 0o4755),
    lambda: os.chmod("sub", 0o2755),
    lambda: os.close(os.open("born", os.O_CREAT | os.O_WRONLY, 0o4755)),
    lambda: os.mkdir("group", 0o2755),
):
    try:
        deed()
        said.append("EFFECT")
    except OSError as error:
        said.append(errno.errorcode[error.errno])
print(said)
"""


@pytest.fixture
def place(tier: Tier) -> Path:
    path = tier.home / "planted"
    subprocess.run(["/bin/rm", "-rf", str(path)], check=True)
    (path / "old").mkdir(parents=True)
    (path / "old/Makefile").write_text("all:\n")
    for one in (path, path / "old", path / "old/Makefile"):
        tier.own(one)
    return path


def test_what_may_be_executed_later_is_told_and_nothing_special_is_made(
    tier: Tier, place: Path
) -> None:
    result = tier.home / "result.json"
    isolated = tier.name in ("root", "user")
    words = ("run", "--write", "planted", "--read", "planted", "--result", str(result))
    process = tier.start(*words, "-c", GUEST.replace("CHMOD", str(isolated)))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err.decode()
    assert b"EFFECT" not in out
    told = json.loads(result.read_text())["planted"]
    wanted = ["sub/.git/hooks/pre-commit", "lib/x.pth", ".bashrc", "deep/er/Makefile",
              "pyproject.toml", *(["tool"] if isolated else [])]  # fmt: skip
    assert told == sorted(str(place / name) for name in wanted)
    assert err.decode().count("obeyed or executed outside") == len(wanted)
    for path in (place, *place.rglob("*")):
        assert path.is_dir() or path.is_file()
        assert not path.lstat().st_mode & 0o6000


def test_names_in_the_report_are_escaped_and_their_number_is_bounded(
    tier: Tier, place: Path
) -> None:
    if tier.name != "user":
        return  # one tier says it
    code = (
        "import os\nfor n in range(40):\n    open(f'planted/{n}\\x1b[31m.pth', 'w').close()\n"
        "os.symlink('/etc', 'planted/link')"
    )
    process = tier.start("run", "--write", "planted", "-c", code)
    _, err = process.communicate(timeout=60)
    lines = err.decode().splitlines()
    assert len([line for line in lines if "the guest wrote" in line]) == 20
    assert "belljar: and 20 more such files; --result lists them" in lines
    assert "\x1b" not in err.decode()
    assert "\\x1b[31m.pth" in err.decode()
    assert os.path.islink(place / "link")
