"""Refusals of the walls that the window sees coming are denials, with the grant that would do."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tiers import Tier

PROGRAM = """
import os, socket
def tried(deed):
    try:
        deed()
    except OSError:
        return
    print("got through:", deed)
def bind(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path)
def connect(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(path)
tried(lambda: open("told/old.txt", "w"))
tried(lambda: os.open(os.path.abspath("told/older.txt"), os.O_WRONLY | os.O_CREAT))
tried(lambda: open("told/.git/hook", "w"))
tried(lambda: open("told/old.txt", "x"))
open("told/new.txt", "w").close()
open("told/old.txt", "a").close()
open("told.txt", "w").close()
tried(lambda: bind("told/x.sock"))
tried(lambda: connect("told/x.sock"))
tried(os.fork)
tried(os.forkpty)
"""


def test_refusals_of_the_walls_are_told_with_what_to_grant(tier: Tier) -> None:
    home = tier.home
    for path in (home / "told", home / "told/.git"):
        path.mkdir(exist_ok=True)
        tier.own(path)
    for name in ("told/old.txt", "told/older.txt", "told.txt"):
        (home / name).write_text("old\n")
        tier.own(home / name)
    time.sleep(0.2)  # what was changed just now may be what the guest made
    result = home / "told.json"
    words = ("--append", "told", "--append", "told.txt", "--result", str(result))
    process = tier.start("run", *words, "-c", PROGRAM)
    out, err = process.communicate(timeout=60)
    assert (out, process.returncode) == (b"", 0), err.decode()
    told = json.loads(result.read_text())["denials"]
    rows = [(one["right"], one["target"], one["remedy"]) for one in told]
    place = home / "told"
    assert rows[:3] == [
        ("write", f"{place}/old.txt", f"--write {place}/old.txt"),
        ("write", f"{place}/older.txt", f"--write {place}/older.txt"),
        ("write", f"{place}/.git/hook", f"--write {place}/.git"),
    ]
    if tier.name in ("root", "user"):  # elsewhere there is no Unix socket at all without a grant
        assert rows[3:5] == [
            ("bind", f"unix:{place}/x.sock", f"--bind unix:{place}/x.sock"),
            ("connect", f"unix:{place}/x.sock", f"--connect unix:{place}/x.sock"),
        ]
    assert rows[-1] == ("process", "a process", "--processes 2")
    assert b"may not start a process" in err
    assert (place / "old.txt").read_text() == "old\n"


def test_a_socket_without_a_directory_of_its_own_is_told_without_a_grant_that_would_not_do(
    tmp_path: Path,
) -> None:
    import belljar

    with belljar.Sandbox(ledger="none", cwd=tmp_path) as box:
        denial = box.run("import socket\nsocket.socket(socket.AF_UNIX).bind('x.sock')").denials[0]
    assert (denial.right, denial.target) == ("bind", "unix:/box/x.sock")
    assert denial.decision.remedy == ""
    assert "whole path" in denial.decision.because


def test_what_the_private_temporary_directory_hides_is_a_denial() -> None:
    import tempfile

    import belljar

    with tempfile.TemporaryDirectory(dir="/tmp") as place, belljar.Sandbox(ledger="none") as box:
        Path(place, "key").write_text("secret")
        (denial,) = box.run(f"open('{place}/key')").denials
        assert (denial.right, denial.target) == ("read", f"{place}/key")
        assert denial.decision.remedy == f"--read {place}/key"
        (denial,) = box.run(f"open('{place}/new', 'w')").denials
        assert (denial.right, denial.decision.remedy) == ("write", f"--write {place}")
        own = box.run(
            "open('/tmp/own', 'w').close(); open('/tmp/own').close()\nimport os\nos.listdir('/tmp')"
        )
        assert (own.value, own.denials) == (["own"], ())
        assert box.run("open('/tmp/which-nobody-has')").denials == ()  # a miss, there as here
