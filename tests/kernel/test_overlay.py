"""`--overlay` and `belljar apply` on every tier: kept apart, shown, merged, dropped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiers import Tier

GUEST = """
import os, shutil
os.chdir("project")
with open("one.txt", "a") as file:
    file.write("more\\n")
open("new\\x1b[31m.txt", "w").close()
os.unlink("gone.txt")
shutil.rmtree("sub")
os.mkdir("sub")
open("sub/three", "w").close()
os.makedirs("deep/er")
open("deep/er/run.sh", "w").close()
os.chmod("deep/er/run.sh", 0o755)
os.symlink("/etc/passwd", "out")
os.symlink("one.txt", "in")
os.chmod("kept.txt", 0o600)
os.makedirs(".git/hooks")
os.mkdir("closed")
open("closed/inner", "w").close()
os.chmod("closed/inner", 0)
os.chmod("closed", 0)
print(sorted(os.listdir(".")))
"""
SHOWN = """\
A .git/  RUNS
A .git/hooks/  RUNS
A closed/
A closed/inner
A deep/
A deep/er/
A deep/er/run.sh  executable, RUNS
D gone.txt
A in link  -> one.txt
P kept.txt  mode 644 -> 600
A new\\x1b[31m.txt
M one.txt
! out link  -> /etc/passwd, which leads out of the directory
D sub/two.txt
A sub/three
"""


def isolated(tier: Tier) -> bool:
    return tier.name in ("root", "user")


@pytest.fixture
def project(tier: Tier) -> Path:
    place = tier.home / "project"
    subprocess.run(["/bin/rm", "-rf", str(place)], check=True)
    (place / "sub").mkdir(parents=True)
    for name in ("one.txt", "gone.txt", "kept.txt", "sub/two.txt"):
        (place / name).write_text(f"{name}\n")
        (place / name).chmod(0o644)
    for path in (place, *place.rglob("*")):
        tier.own(path)
    return place


def belljar(tier: Tier, *words: str) -> tuple[int, str, str]:
    process = tier.start(*words)
    out, err = process.communicate(timeout=60)
    return process.returncode, out.decode(), err.decode()


def picture(place: Path) -> dict[str, tuple[int, str]]:
    """Every name with its mode and content."""
    found = {}
    for path in sorted(place.rglob("*")):
        text = os.readlink(path) if path.is_symlink() else ""
        if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o400:
            text = path.read_text()
        found[str(path.relative_to(place))] = (path.lstat().st_mode & 0o7777, text)
    return found


def run(tier: Tier, code: str, *more: str) -> str:
    """Run `code` over an overlay of the project; the name of what waits."""
    words = ("run", "--overlay", "project", *more, "-c", code)
    status, _, err = belljar(tier, *words)
    assert status == 0, err
    assert "wait: belljar apply " in err, err
    return err.rpartition(" ")[2].strip()


def test_changes_are_kept_apart_shown_and_merged(tier: Tier, project: Path) -> None:
    before = picture(project)
    if not isolated(tier):
        status, out, err = belljar(tier, "run", "--overlay", "project", "-c", "print('ran')")
        assert (status, out) == (125, "")
        assert "cannot protect overlay:" in err
        return
    name = run(tier, GUEST)
    assert picture(project) == before
    assert belljar(tier, "apply", name)[:2] == (0, SHOWN)
    assert picture(project) == before
    status, out, err = belljar(tier, "apply", name, "--merge")
    assert (status, out) == (1, SHOWN), err
    assert "14 changes taken over; 1 refused" in err
    assert (project / "closed").stat().st_mode & 0o777 == 0
    (project / "closed").chmod(0o700)
    after = picture(project)
    assert after.keys() == {
        ".git", ".git/hooks", "closed", "deep", "deep/er", "deep/er/run.sh", "in", "kept.txt",
        "new\x1b[31m.txt", "one.txt", "sub", "sub/three",
        "closed/inner",
    }  # fmt: skip
    assert after["one.txt"] == (0o644, "one.txt\nmore\n")
    assert after["kept.txt"][0] == 0o600
    assert after["closed/inner"][0] == 0
    assert after["deep/er/run.sh"][0] == 0o755
    owner = project.stat().st_uid
    assert {path.lstat().st_uid for path in project.rglob("*")} == {owner}
    rest = [line for line in belljar(tier, "apply", name)[1].splitlines() if "closed/" not in line]
    assert rest == [SHOWN.splitlines()[12]]
    assert belljar(tier, "apply", name, "--drop")[0] == 0
    assert belljar(tier, "apply")[1] == ""


def test_nothing_waits_where_nothing_changed(tier: Tier, project: Path) -> None:
    if not isolated(tier):
        return  # overlays are refused here
    words = ("run", "--overlay", "project", "-c", "print(open('project/one.txt').read())")
    status, out, err = belljar(tier, *words)
    assert (status, out, err) == (0, "one.txt\n\n", "")
    assert belljar(tier, "apply")[1] == ""


def test_a_merge_touches_nothing_outside(tier: Tier, project: Path) -> None:
    if not isolated(tier):
        return  # overlays are refused here
    outside = tier.home / "outside"
    outside.mkdir(exist_ok=True)
    (outside / "two.txt").write_text("outside\n")
    tier.own(outside / "two.txt")
    os.link(outside / "two.txt", project / "linked.txt")
    name = run(
        tier,
        "import os\nopen('project/sub/two.txt', 'w').write('inside')\n"
        "open('project/linked.txt', 'a').write('more')\nos.chmod('project/linked.txt', 0o777)",
    )
    # between the run and the merge a directory becomes a link that leads out
    subprocess.run(["/bin/rm", "-rf", str(project / "sub")], check=True)
    (project / "sub").symlink_to(outside)
    status, out, err = belljar(tier, "apply", name, "--merge")
    assert status == 1
    assert "M sub/" in out
    assert "LATER" in out
    assert "nothing taken over" in err
    assert (project / "sub").is_symlink()
    status, out, err = belljar(tier, "apply", name, "--merge", "--force")
    assert status == 0, err
    assert not (project / "sub").is_symlink()
    assert (project / "sub/two.txt").read_text() == "inside"
    assert (project / "linked.txt").read_text() == "outside\nmore"
    assert (outside / "two.txt").read_text() == "outside\n"
    assert (outside / "two.txt").stat().st_mode & 0o777 == 0o644
    assert os.listdir(outside) == ["two.txt"]


def test_a_policy_that_was_merged_is_not_obeyed(tier: Tier, project: Path) -> None:
    if not isolated(tier):
        return  # overlays are refused here
    name = run(tier, "open('project/pyproject.toml', 'w').write('[tool.belljar]\\nschema = 1\\n')")
    status, out, err = belljar(tier, "apply", name, "--merge")
    assert (status, out) == (0, "A pyproject.toml  RUNS\n"), err
    (project / "later.py").write_text("print('ran')")
    words = [*tier.command(), "run", "later.py"]
    done = subprocess.run(
        words, cwd=project, env=tier.env, capture_output=True, text=True, check=False,
        **tier.identity,
    )  # fmt: skip
    assert done.returncode == 125, done.stdout
    assert "may have been written by a guest" in done.stderr


MOUNTED = """
import os, subprocess, sys
subprocess.run(["mount", "--bind", sys.argv[1], sys.argv[2]], check=True)
os.execv(sys.argv[3], sys.argv[3:])
"""


@pytest.mark.parametrize("delete", [False, True])
def test_what_is_mounted_beneath_is_neither_written_nor_removed(
    tier: Tier, project: Path, delete: bool
) -> None:
    if tier.name != "root":
        return  # who may mount
    outside = tier.home / "mounted"
    outside.mkdir(exist_ok=True)
    (outside / "kept").write_text("outside\n")
    (project / "sub/hole").mkdir()  # of the same file system: the device's number tells nothing
    code = "import os, shutil\n"
    code += "shutil.rmtree('project/sub')" if delete else "open('project/sub/hole/new', 'w')"
    name = run(tier, code)
    inside = [sys.executable, "-c", MOUNTED, str(outside), str(project / "sub/hole")]
    words = ["unshare", "-m", "--propagation", "private", *inside, *tier.command()]
    done = subprocess.run(
        [*words, "apply", name, "--merge", "--force"],
        cwd=tier.home, env=tier.env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0, done.stdout
    assert "another file system" in done.stdout or "mounted there" in done.stderr
    assert os.listdir(outside) == ["kept"]
    assert belljar(tier, "apply", name, "--drop")[0] == 0


def test_another_directory_in_its_place_is_refused(tier: Tier, project: Path) -> None:
    if not isolated(tier):
        return  # overlays are refused here
    name = run(tier, "open('project/new', 'w').close()")
    project.rename(tier.home / "moved")
    project.mkdir()
    tier.own(project)
    status, _, err = belljar(tier, "apply", name, "--merge")
    assert status == 125
    assert "is not the directory that the guest saw" in err
    assert belljar(tier, "apply", name, "--drop")[0] == 0
    subprocess.run(["/bin/rm", "-rf", str(tier.home / "moved")], check=True)


def test_a_very_deep_tree_is_told_and_can_be_dropped(tier: Tier, project: Path) -> None:
    if not isolated(tier):
        return  # overlays are refused here
    name = run(
        tier,
        "import os\nos.chdir('project')\n"
        "for _ in range(500):\n    os.mkdir('d')\n    os.chdir('d')\nos.chmod('.', 0)",
    )
    status, out, _ = belljar(tier, "apply", name)
    assert status == 0
    assert "deeper than 200 directories" in out
    assert belljar(tier, "apply", name, "--drop")[0] == 0
    assert belljar(tier, "apply")[1] == ""
    assert sorted(os.listdir(project)) == ["gone.txt", "kept.txt", "one.txt", "sub"]


def test_what_a_running_guest_changes_is_not_applied(tier: Tier, project: Path) -> None:
    if not isolated(tier):
        return  # overlays are refused here
    code = "open('project/new', 'w').close()\nprint('go', flush=True)\nimport time\ntime.sleep(50)"
    process = tier.start("run", "--overlay", "project", "-c", code)
    assert process.stdout is not None
    assert process.stdout.readline() == b"go\n"
    status, _, err = belljar(tier, "apply", "last", "--merge")
    assert status == 125
    assert "its guest still runs" in err
    os.kill(process.pid, signal.SIGKILL)  # a host that is killed leaves what can still be applied
    process.communicate(timeout=30)
    end = time.monotonic() + 20
    while belljar(tier, "apply", "last")[0] != 0 and time.monotonic() < end:
        time.sleep(0.05)
    assert belljar(tier, "apply", "last", "--merge")[:2] == (0, "A new\n")
    assert (project / "new").exists()


def test_the_layers_are_not_in_the_view_and_nothing_special_is_made(
    tier: Tier, project: Path
) -> None:
    if not isolated(tier):
        return  # overlays are refused here
    code = """
import ctypes, errno, os, socket
os.chdir("project")
libc = ctypes.CDLL(None, use_errno=True)
def native(name, *args):
    if getattr(libc, name)(*args) < 0:
        raise OSError(ctypes.get_errno(), name)
open("plain", "w").close()
for deed in (
    lambda: native("mkfifo", b"fifo", 0o666),
    lambda: native("mknod", b"dev", 0o20666, 0x103),
    lambda: native("mknod", b"whiteout", 0o20666, 0),
    lambda: native("chmod", b"plain", 0o4755),
    lambda: native("setxattr", b"plain", b"user.overlay.opaque", b"y", 1, 0),
    lambda: socket.socket(socket.AF_UNIX).bind("sock"),
    lambda: native("access", b"/belljar/layers", 0),
    lambda: native("access", b"/belljar/layers/0/lower", 0),
):
    try:
        deed()
        print("EFFECT")
    except OSError as error:
        print(errno.errorcode[error.errno])
"""
    words = ("run", "--quiet", "--import", "ctypes", "--overlay", "project", "-c", code)
    status, out, err = belljar(tier, *words)
    assert status == 0, err
    assert "EFFECT" not in out
    assert len(out.split()) == 8
    assert belljar(tier, "apply", "last")[1] == "A plain\n"
    assert belljar(tier, "apply", "last", "--drop")[0] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--overlay", "nowhere"], "No such file"),
        (["--overlay", "project/one.txt"], "is not a directory"),
        (["--overlay", "project", "--overlay", "project/sub"], "lies in the overlay of"),
        (["--overlay", "."], "where changes are kept"),
        (["--overlay", "project", "--write", "project"], "is an overlay, too"),
        (["--overlay", "/"], "cannot be granted"),
    ],
)
def test_what_cannot_be_overlaid_is_said_in_one_line(
    tier: Tier, project: Path, words: list[str], said: str
) -> None:
    if not isolated(tier):
        return  # overlays are refused here
    status, out, err = belljar(tier, "run", *words, "-c", "print('ran')")
    assert (status, out) == (125, "")
    assert project.is_dir()
    assert len(err.splitlines()) == 1
    assert said in err
