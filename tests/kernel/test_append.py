"""`--append`: the guest adds to a file, or makes files in a directory and adds to them, and can do
nothing else with what is there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tiers import Tier


def belljar(tier: Tier, *words: str) -> tuple[int, str, str]:
    process = tier.start("run", *words)
    out, err = process.communicate(timeout=60)
    return process.returncode, out.decode(), err.decode()


@pytest.fixture
def log(tier: Tier) -> Path:
    place = tier.home / "logs"
    subprocess.run(["/bin/rm", "-rf", str(place)], check=True)
    place.mkdir()
    tier.own(place)
    (place / "log.txt").write_text("old\n")
    return tier.own(place / "log.txt")


def test_what_is_written_is_added_at_the_end(tier: Tier, log: Path) -> None:
    code = (
        "import logging\nlogging.basicConfig(filename='logs/log.txt', format='%(message)s')\n"
        "logging.warning('from logging')\nlogging.shutdown()\n"
        "with open('logs/log.txt', 'w') as file: file.write('emptied nothing\\n')\n"
        "with open('logs/new.txt', 'a') as file: file.write('x' * 100000)\n"
    )
    words = ("--append", "logs/log.txt", "--append", "logs/new.txt", "-c", code)
    status, _, err = belljar(tier, *words)
    assert status == 0, err
    lines = log.read_text().splitlines()  # each stream in its order; between two, as they came
    assert lines[0] == "old"
    assert sorted(lines[1:]) == ["emptied nothing", "from logging"]
    assert (log.parent / "new.txt").read_text() == "x" * 100000


@pytest.mark.parametrize("granted", ["logs/log.txt", "logs"])
def test_the_sum_is_bounded(tier: Tier, log: Path, granted: str) -> None:
    code = "f = open('logs/log.txt', 'ab', 0)\nwhile True:\n    f.write(bytes(4096))"
    result = tier.home / "result.json"
    words = ("--disk", "1MiB", "--result", str(result), "--append", granted, "-c", code)
    status, _, err = belljar(tier, *words)
    assert status == 137, err
    assert "what it appended" in err
    assert log.stat().st_size == (1 << 20) + 4
    assert '"ended-by": "disk"' in result.read_text()


def test_files_that_are_made_count_as_well(tier: Tier, log: Path) -> None:
    code = (
        "import errno\n"
        "for n in range(1000):\n"
        "    try: open(f'logs/{n}', 'x').close()\n"
        "    except OSError as error: print(n, errno.errorcode[error.errno]); break\n"
    )
    assert belljar(tier, "--disk", "1MiB", "--append", "logs", "-c", code)[1] == "256 ENOSPC\n"
    assert len(os.listdir(log.parent)) == 257


def test_files_are_made_and_added_to_in_a_directory_and_no_more(tier: Tier, log: Path) -> None:
    (log.parent / "sub").mkdir()
    tier.own(log.parent / "sub")
    code = (
        "import logging, os\n"
        "def add(path, mode, **more):\n"
        "    try:\n"
        "        with open(path, mode, **more) as file: file.write(mode)\n"
        "        return 'added'\n"
        "    except OSError as error: return type(error).__name__\n"
        "for path in ('log.txt', 'new.txt', 'sub/deep.txt', 'none/x.txt', 'Makefile'):\n"
        "    print(path, *(add('logs/' + path, mode) for mode in ('x', 'a', 'w', 'r+', 'a+')))\n"
        "os.chdir('logs')\n"
        "print('relative', add('here.txt', 'x'), add('../outside.txt', 'x'))\n"
        "top = os.open('.', os.O_PATH)\n"
        "def opener(path, flags): return os.open(path, flags, dir_fd=top)\n"
        "print('dir_fd', add('there.txt', 'a', opener=opener))\n"
        "logging.basicConfig(filename='my.log', format='%(message)s')\n"
        "logging.warning('logged')\n"
        "for deed in (os.remove, os.truncate, os.chmod, os.rename, os.link):\n"
        "    more = {'truncate': (0,), 'chmod': (0o777,)}.get(deed.__name__, ('other',))\n"
        "    try: deed('log.txt', *more[: deed is not os.remove])\n"
        "    except OSError as error: print(deed.__name__, type(error).__name__)\n"
    )
    status, out, err = belljar(tier, "--append", "logs", "-c", code)
    assert status == 0, err
    assert out.splitlines()[:5] == [
        "log.txt FileExistsError added PermissionError PermissionError PermissionError",
        "new.txt added added PermissionError PermissionError PermissionError",
        "sub/deep.txt added added PermissionError PermissionError PermissionError",
        "none/x.txt " + " ".join(["FileNotFoundError"] * 3 + ["PermissionError"] * 2),
        "Makefile " + " ".join(["PermissionError"] * 5),
    ]
    assert out.splitlines()[5:7] == ["relative added FileNotFoundError", "dir_fd added"]
    deeds = ("remove", "truncate", "chmod", "rename", "link")
    assert out.splitlines()[7:] == [f"{deed} PermissionError" for deed in deeds]
    found = {path.name: path for path in log.parent.iterdir() if path.is_file()}
    assert {name: path.read_text() for name, path in found.items()} == {
        "log.txt": "old\na", "new.txt": "xa", "here.txt": "x", "there.txt": "a",
        "my.log": "logged\n",
    }  # fmt: skip
    assert (log.parent / "sub" / "deep.txt").read_text() == "xa"
    assert {path.stat().st_mode & 0o7777 for path in found.values()} == {0o644}
    assert len({path.stat().st_uid for path in found.values()}) == 1  # the directory's owner's
    assert not (tier.home / "outside.txt").exists()


def test_what_others_put_into_the_directory_leads_nowhere(tier: Tier, log: Path) -> None:
    (tier.home / "outside.txt").write_text("old\n")
    outside = tier.own(tier.home / "outside.txt")
    for name, make in (("symbolic", os.symlink), ("hard", os.link)):
        make(outside, log.parent / name)
    os.symlink(tier.home, log.parent / "up")
    os.mkfifo(log.parent / "pipe")
    code = (
        "for name in ('symbolic', 'hard', 'up/outside.txt', 'pipe', 'symbolic/x'):\n"
        "    for mode in 'axw':\n"
        "        try: open('logs/' + name, mode).write('added')\n"
        "        except OSError as error: print(name, mode, type(error).__name__)\n"
    )
    status, out, err = belljar(tier, "--append", "logs", "-c", code)
    assert status == 0, err
    assert len(out.splitlines()) == 15, out
    assert outside.read_text() == "old\n"
    assert sorted(path.name for path in log.parent.iterdir()) == [
        "hard", "log.txt", "pipe", "symbolic", "up",
    ]  # fmt: skip
    outside.unlink()


def test_a_directory_that_may_be_read_as_well_shows_what_is_there(tier: Tier, log: Path) -> None:
    code = (
        "import os\n"
        "with open('logs/log.txt', 'a') as file: file.write('more')\n"
        "print(open('logs/log.txt').readline().strip(), *os.listdir('logs'))\n"
        "try: open('logs/log.txt', 'w')\n"
        "except OSError as error: print(type(error).__name__)\n"
    )
    status, out, err = belljar(tier, "--append", "logs", "--read", "logs", "-c", code)
    assert (status, out) == (0, "old log.txt\nPermissionError\n"), err
    assert log.read_text() == "old\nmore"


def test_what_is_written_by_one_descriptor_after_another_is_in_that_order(
    tier: Tier, log: Path
) -> None:
    code = (
        "for n in range(50):\n"
        "    with open('logs/log.txt', 'a') as file: file.write(f'{n:>60000}\\n')\n"
        "import os\n"
        "held = [os.open('logs/log.txt', os.O_WRONLY | os.O_APPEND) for n in range(64)]\n"
        "try: open('logs/more.txt', 'x')\n"
        "except OSError as error: print(error.errno)\n"
    )
    words = ("--open-files", "256", "--append", "logs", "-c", code)
    status, out, err = belljar(tier, *words)
    assert (status, out) == (0, "24\n"), err
    lines = log.read_text().splitlines()
    assert [int(line) for line in lines[1:]] == list(range(50))
    assert not (log.parent / "more.txt").exists()


def test_rotating_a_log_fails_and_loses_nothing_that_is_there(tier: Tier, log: Path) -> None:
    code = (
        "import logging, logging.handlers\n"
        "h = logging.handlers.RotatingFileHandler('logs/log.txt', maxBytes=10, backupCount=2)\n"
        "log = logging.getLogger(); log.addHandler(h)\n"
        "for n in range(5): log.warning('a long line %d', n)\n"
        "try: h.doRollover()\n"
        "except OSError as error: print(type(error).__name__)\n"
    )
    status, out, err = belljar(tier, "--append", "logs", "-c", code)
    assert status == 0, err
    assert log.read_text().startswith("old\n")
    assert os.listdir(log.parent) == ["log.txt"]
    assert out in ("PermissionError\n", "")


@pytest.mark.parametrize(
    ("prepare", "words", "said"),
    [
        ("ln -s /etc/passwd logs/l", ["--append", "logs/l"], "is a link"),
        ("mkdir logs/d; ln -s d logs/l", ["--append", "logs/l"], "is a link"),
        ("mkfifo logs/f", ["--append", "logs/f"], "logs/f"),
        ("true", ["--append", "nowhere/x"], "No such file"),
        ("true", ["--append", "logs/log.txt", "--write", "logs/log.txt"], "granted with write"),
        ("true", ["--append", "logs", "--write", "logs"], "granted with write"),
        ("true", ["--append", "logs/log.txt", "--read", "logs/log.txt"], "granted with read"),
    ],
)
def test_what_cannot_be_appended_to_is_said(
    tier: Tier, log: Path, prepare: str, words: list[str], said: str
) -> None:
    subprocess.run(["/bin/sh", "-c", prepare], cwd=tier.home, check=True, **tier.identity)
    status, out, err = belljar(tier, *words, "-c", "print('ran')")
    assert (status, out) == (125, "")
    assert said in err
    assert len(err.splitlines()) == 1
    assert log.read_text() == "old\n"


def test_a_slash_says_that_it_is_a_directory(tier: Tier, log: Path) -> None:
    typo = tier.home / "typo"
    status, _, err = belljar(tier, "--append", "typo/", "-c", "pass")
    assert (status, typo.exists()) == (125, False), err
    said = "no such directory; make it, or drop the slash to add to a file of that name"
    assert err == f"belljar: --append: append = {typo}/: {said}\n"
    status, _, err = belljar(tier, "--append", "logs/log.txt/", "-c", "pass")
    assert (status, err) == (
        125,
        f"belljar: --append: append = {log}/: is no directory; drop the slash\n",
    )
    assert belljar(tier, "--append", "-typo/", "--append", "logs/", "-c", "pass")[0] == 0
    assert not typo.exists()


ROTATES = """
import logging.handlers
for handler in (
    logging.handlers.RotatingFileHandler("logs/size.txt", maxBytes=5),
    logging.handlers.TimedRotatingFileHandler("logs/time.txt", when="S"),
):
    if hasattr(handler, "rolloverAt"):
        handler.rolloverAt = 0
    handler.handle(logging.makeLogRecord({"msg": "a record"}))
    handler.close()
"""


def test_a_log_that_would_be_rotated_is_not_lost_in_silence(tier: Tier, log: Path) -> None:
    status, _, err = belljar(tier, "--append", "logs/", "-c", ROTATES)
    assert status == 0, err
    kept = [(log.parent / name).read_text() for name in ("size.txt", "time.txt")]
    assert "not seekable" in err
    if tier.name in ("root", "user"):  # it does not see its file, and so renames nothing
        assert kept == ["", "a record\n"]
    else:
        assert kept == ["", ""]
        assert f'denied[write]: guest "-c" may not write {log.parent}/time.txt' in err
    assert err.count("--- Logging error ---") == kept.count("")
