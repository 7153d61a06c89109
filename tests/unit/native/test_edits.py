"""Edits that raise no audit event are told as `belljar.edit`, from CPython 3.12 on."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest

Record = Callable[..., Any]
Edits = Callable[[str], list[Any]]


def minor_of(path: str) -> int:
    found = re.fullmatch(r"python3\.(\d+)", os.path.basename(path))
    return int(found[1]) if found else -1


def newer() -> list[str]:
    """Every CPython at hand that tells of changed dictionaries: 3.12 and later."""
    paths = glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python3.*"))
    paths += glob.glob("/usr/bin/python3.*")
    found = {os.path.realpath(path): path for path in sorted(paths) if minor_of(path) >= 12}
    return sorted(found.values())


@pytest.fixture(params=newer())
def edits(record: Record, request: pytest.FixtureRequest) -> Callable[[str], list[Any]]:
    """`edits(source)` gives (kind, holder, key, line) of what the source edits."""

    def run(source: str) -> list[Any]:
        done = record([request.param, "-I", "-S", "-c", source])
        assert done.status == 0, done.err
        assert not done.findings
        return [(*event.args, event.stack[0].line) for event in done.named("belljar.edit")]

    return run


def test_functions_of_modules(edits: Edits) -> None:
    found = edits(
        "import os, builtins, ssl\n"
        "real = builtins.open\n"
        "builtins.open = lambda *a: real(*a)\n"
        "os.getcwd = os.getcwd\n"  # the same value is no change
        "os.system = None\n"
        "ssl._create_default_https_context = ssl._create_unverified_context\n"
        "del os.remove\n"
        "os.new = 1\n"
        "os.sep = '/'\n"
    )
    assert found == [
        ("replace", "builtins", "open", 3),
        ("replace", "os", "system", 5),
        ("replace", "ssl", "_create_default_https_context", 6),
        ("delete", "os", "remove", 7),
    ]


def test_classes_of_modules(edits: Edits) -> None:
    found = edits(
        "import socket, ssl, subprocess, pathlib\n"
        "socket.socket.connect = print\n"
        "del socket.socket.connect\n"
        "ssl.SSLContext.verify_mode = 0\n"
        "subprocess.Popen.__init__ = print\n"
        "subprocess.Popen = print\n"
        "class Mine(socket.socket): pass\n"
        "Mine.connect = print\n"
        "class Holder: pass\n"
        "Holder.x = 1\n"
    )
    assert found == [
        ("add", "socket.socket", "connect", 2),
        ("delete", "socket.socket", "connect", 3),
        ("replace", "ssl.SSLContext", "verify_mode", 4),
        ("replace", "subprocess.Popen", "__init__", 5),
        ("replace", "subprocess", "Popen", 6),
    ]


def test_sys_modules(edits: Edits) -> None:
    found = edits(
        "import sys, types, json\n"
        "sys.modules['json'] = types.ModuleType('json')\n"
        "del sys.modules['json']\n"
        "sys.modules['made_up'] = types.ModuleType('made_up')\n"
        "sys.modules['hmac'] = types.ModuleType('hmac')\n"  # stands in for the real one
        "sys.modules.pop('made_up')\n"
        "import email, decimal\n"
    )
    assert found == [
        ("replace", "sys.modules", "json", 2),
        ("delete", "sys.modules", "json", 3),
        ("add", "sys.modules", "hmac", 5),
        ("delete", "sys.modules", "made_up", 6),
    ]


def test_what_holds_the_import_system(edits: Edits) -> None:
    found = edits(
        "import sys\n"
        "sys.meta_path = list(sys.meta_path)\n"
        "sys.path_hooks = list(sys.path_hooks)\n"
        "sys.path = list(sys.path)\n"
        "sys.path.append('/x')\n"  # a list tells nobody
        "sys.stdout = sys.stderr\n"
        "sys.addaudithook = print\n"
        "sys.modules = dict(sys.modules)\n"
    )
    assert found == [
        ("replace", "sys", "meta_path", 2),
        ("replace", "sys", "path_hooks", 3),
        ("replace", "sys", "path", 4),
        ("replace", "sys", "addaudithook", 7),
        ("replace", "sys", "modules", 8),
    ]


def test_ordinary_programs_edit_nothing(edits: Edits) -> None:
    found = edits(
        "import asyncio, concurrent.futures, ctypes, email.message, http.client, logging.config\n"
        "import multiprocessing, pickle, random, sqlite3, ssl, tempfile, threading, unittest\n"
        "import urllib.request, xml.dom.minidom, pathlib, shutil, importlib.metadata\n"
        "async def nothing(): pass\n"
        "asyncio.run(nothing())\n"
        "with concurrent.futures.ThreadPoolExecutor(2) as pool: list(pool.map(len, ['a'] * 9))\n"
        "with tempfile.TemporaryDirectory() as name: pathlib.Path(name, 'x').write_text('y')\n"
        "try: import not_there\n"
        "except ImportError: pass\n"
        "importlib.reload(random)\n"
    )
    assert found == []


def test_hostile_keys_are_named_and_never_asked(edits: Edits) -> None:
    found = edits(
        "import sys, os\n"
        "class Key(str):\n"
        "    def __eq__(self, other): sys.audit('asked'); return str.__eq__(self, other)\n"
        "    __hash__ = str.__hash__\n"
        "os.__dict__[Key('planted')] = 1\n"
        "sys.modules[Key('json')] = os\n"
        "sys.modules[Key('json')] = sys\n"
        "os.getcwd = print\n"
    )
    kinds = [(kind, holder) for kind, holder, _, _ in found]
    assert kinds == [("replace", "sys.modules"), ("replace", "os")]
    assert found[1][2] == "getcwd"


def test_a_flood_is_bounded_and_says_so(edits: Edits) -> None:
    found = edits("import os\nfor i in range(5000):\n    os.getcwd = lambda: i\n")
    assert len(found) == 4097
    assert found[-1] == ("more", "os", None, 3)


def test_subinterpreters_are_watched_as_well(edits: Edits) -> None:
    found = edits(
        "import sys\n"
        "name = '_interpreters' if sys.version_info >= (3, 13) else '_xxsubinterpreters'\n"
        "i = __import__(name)\n"
        "for _ in range(80):\n"  # more than are known by number at a time
        "    x = i.create()\n"
        "    i.run_string(x, 'import os\\nos.getcwd = print')\n"
        "    i.destroy(x)\n"
        "import os, shutil\n"
        "os.getcwd = shutil.move = print\n"
    )
    assert found[:80] == [("replace", "os", "getcwd", 2)] * 80
    assert found[80:] == [("replace", "os", "getcwd", 9), ("replace", "shutil", "move", 9)]


def test_a_pending_exception_survives(edits: Edits) -> None:
    found = edits(
        "import os, sys\n"
        "class Undo:\n"
        "    def __enter__(self): pass\n"
        "    def __exit__(self, kind, *_):\n"
        "        assert kind is ZeroDivisionError\n"
        "        os.getcwd = print\n"
        "        return sys.exc_info()[0] is ZeroDivisionError\n"
        "with Undo(): 1 / 0\n"
    )
    assert found == [("replace", "os", "getcwd", 6)]


def test_before_3_12_nothing_is_told_and_nothing_breaks(record: Record, interpreter: str) -> None:
    done = record([interpreter, "-I", "-S", "-c", "import os; os.getcwd = print; os.x = 1"])
    assert done.status == 0
    assert bool(done.named("belljar.edit")) == (minor_of(interpreter) >= 12)


def test_the_in_process_recorder_tells_of_edits_too() -> None:
    import belljar

    with belljar.watching(events="belljar.edit") as events:
        real = os.getcwd
        os.getcwd = lambda: "/"
        os.getcwd = real
    told = [event.args for event in events]
    assert told == ([("replace", "os", "getcwd")] * 2 if sys.version_info >= (3, 12) else [])
