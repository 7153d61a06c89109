"""Where ledgers lie, and what opening one costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from belljar.ledger import default_directory, resolve


def test_the_default_follows_the_state_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("XDG_STATE_HOME", "/var/ann")
    assert default_directory() == "/var/ann/belljar/ledger"
    for unset in ("", "relative"):
        monkeypatch.setenv("XDG_STATE_HOME", unset)
        assert default_directory() == "/home/ann/.local/state/belljar/ledger"


def test_the_policy_key_means_a_directory_or_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/var/ann")
    assert resolve("auto") == "/var/ann/belljar/ledger"
    assert resolve("none") is None
    assert resolve("/srv/x/../y") == "/srv/y"


def test_writing_imports_nothing_slow(tmp_path: Path) -> None:
    slow = (
        "typing dataclasses enum re json collections functools argparse pathlib logging "
        "subprocess socket tempfile shutil hashlib _hashlib tomllib msgspec belljar.model"
    )
    code = (
        "import sys; from belljar.ledger import Writer, END\n"
        f"w = Writer({str(tmp_path)!r}); w.append([(END, 1, b'x' * 9000)], bytes(16)); w.close()\n"
        f"print(sorted(set({slow!r}.split()) & set(sys.modules)))"
    )
    path = next(p for p in sys.path if (Path(p) / "belljar").is_dir())
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {path!r})\n" + code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
