"""`belljar.guest.narrow` in programs of `belljar run`, without a bridge, in every tier."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nets import Echo, run
from test_narrow import CONNECT, HELP
from tiers import Tier

FILES = """
import json, sys
A, B, OUT = sys.argv[1:4]
def tries(n):
    return [native("open", A, 0), native("open", B, 0),
            native("open", OUT + "/g%d" % n, 0o101, 0o600),
            native("mkdir", OUT + "/d%d" % n, 0o700), native("rename", B, B)]
told = [tries(1)]
rows = narrow(read=[A], open_files=30)
told.append(tries(2))
told.append(said(lambda: narrow(read=[B])).split(":")[0])
told.append(said(lambda: narrow(wall=1)))
told.append(native("setrlimit", 7, (ctypes.c_ulong * 2)(64, 64)))
import decimal, tempfile
tempfile.TemporaryFile().close()
print(json.dumps([told, {key: row[0] for key, row in rows.items()}]))
"""


@pytest.fixture
def data(tier: Tier) -> Path:
    folder = tier.home / "data"
    for path in (folder, folder / "out"):
        path.mkdir(exist_ok=True)
        tier.own(path)
    for name in ("a", "b"):
        (folder / name).write_text(name, "utf-8")
        tier.own(folder / name)
    return folder


def test_files_and_limits_are_given_up_in_every_tier(tier: Tier, data: Path) -> None:
    names = "hidden" if tier.name == "user" else "visible"
    grants = ["--read", str(data), "--write", str(data / "out"), "--extensions", "all"]
    ran = run(
        tier, [*grants, "--names", names], HELP + FILES,
        str(data / "a"), str(data / "b"), str(data / "out"),
    )  # fmt: skip
    assert ran.status == 0, ran.err
    told, rows = json.loads(ran.out)
    assert told[0][:4] == ["ok"] * 4
    assert told[1] == ["ok"] + ["EACCES"] * 4
    assert told[2] == "PermissionError"
    assert told[3].startswith("RuntimeError: wall cannot be narrowed here")
    assert told[4] == "EPERM"
    assert rows == {"read": "full", "write": "full", "names": "none", "open-files": "full"}


def test_a_thread_keeps_it_from_anything_in_every_tier(tier: Tier) -> None:
    code = (
        HELP
        + """
import threading
stop = threading.Event()
threading.Thread(target=stop.wait, daemon=True).start()
print(said(narrow))
"""
    )
    ran = run(tier, ["--extensions", "all"], code)
    assert ran.out.startswith("RuntimeError: other threads run"), ran.err


def test_addresses_are_given_up_without_a_bridge(tier: Tier) -> None:
    code = (
        HELP
        + CONNECT
        + """
import json, sys
first, second = map(int, sys.argv[1:])
tries = lambda: [connect(first), connect(second)]
told = [tries()]
narrow(connect=["127.0.0.1:%d" % second]); told.append(tries())
narrow(); told.append(tries())
print(json.dumps(told))
"""
    )
    with Echo() as one, Echo() as two:
        ports = [str(one.port), str(two.port)]
        flags = [w for port in ports for w in ("--connect", f"127.0.0.1:{port}")]
        ran = run(tier, [*flags, "--extensions", "all"], code, *ports)
    assert ran.status == 0, ran.err
    assert json.loads(ran.out) == [["ok", "ok"], ["EACCES", "ok"], ["no socket", "no socket"]]


def test_processor_time_is_the_kernels_to_count(where: Tier) -> None:
    code = (
        "import belljar.guest\nprint(belljar.guest.narrow(cpu=1)['cpu'][1], flush=True)\nwhile 1: 1"
    )
    ran = run(where, ["--cpu", "50"], code)
    assert ran.out == "RLIMIT_CPU\n"
    assert ran.result["ended-by"] == "cpu"


def test_belljar_itself_may_be_among_the_modules(where: Tier) -> None:
    folder = where.home / "modules"
    folder.mkdir()
    (folder / "belljar.py").write_text("mine = 1\n__path__ = []\n")
    code = (
        "import sys\nsys.path.insert(0, sys.argv[1])\nimport belljar, belljar.guest as inside\n"
        "print(belljar.mine, callable(inside.narrow))"
    )
    ran = run(where, ["--read", str(folder)], code, str(folder))
    assert ran.out == "1 True\n", ran.err
