"""`belljar watch -- pip install NAME`, for real: a wheel from our own index, on one screen."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread

import pytest


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        return


@pytest.fixture
def index(outside_tmp: Path) -> Iterator[str]:
    """The URL of an index that has the distribution `shout` 1.0."""
    place = outside_tmp / "index/simple/shout"
    place.mkdir(parents=True)
    name = "shout-1.0-py3-none-any.whl"
    files = {
        "shout/__init__.py": "def shout(text):\n    return text.upper()\n",
        "shout/words.py": "WORDS = ()\n",
        "shout-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: shout\nVersion: 1.0\n",
        "shout-1.0.dist-info/WHEEL": (
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    rows = []
    with zipfile.ZipFile(place / name, "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)
            digest = urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
            rows.append(f"{file},sha256={digest.decode()},{len(text)}")
        record = "shout-1.0.dist-info/RECORD"
        wheel.writestr(record, "\n".join([*rows, f"{record},,", ""]))
    (place / "index.html").write_text(f"<!DOCTYPE html><html><a href='{name}'>{name}</a></html>")
    handler = partial(Quiet, directory=str(outside_tmp / "index"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()


def pip() -> list[str]:
    """A pip for the interpreter of the tests: its own, or the one that comes with Python."""
    if find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    import ensurepip

    bundled = Path(ensurepip.__file__).parent / "_bundled"
    (wheel,) = bundled.glob("pip-*.whl")
    return [sys.executable, str(wheel / "pip")]


def test_an_installation_fits_on_one_screen_by_package(
    belljar: Callable, outside_tmp: Path, index: str
) -> None:
    env = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_INDEX_URL": index,
        "PIP_ROOT_USER_ACTION": "ignore",
    }
    argv = ("watch", "--", *pip(), "install", "--target", "site", "shout")
    ran = belljar(*argv, cwd=outside_tmp, env=env, timeout=90)
    assert ran.status == 0, ran.stdout + ran.stderr
    assert (outside_tmp / "site/shout/__init__.py").exists()
    lines = ran.stderr.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("belljar: "))
    lines = lines[start:]
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    head = r"belljar: \d+ events announced by \d+ process(es)? in [\d.]+ s.*"
    assert re.fullmatch(head, lines[0])
    assert re.fullmatch(r"pip \d[\w.]*", lines[1])  # what matters most comes first
    block = "\n".join(lines[1:])
    port = index.split(":")[2].partition("/")[0]
    assert re.search(rf"^  network  .*connect 127\.0\.0\.1:{port}", block, re.M)
    assert re.search(r"^  wrote    .*\./site", block, re.M | re.S)
    assert "finding" not in block
