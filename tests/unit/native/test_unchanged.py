"""Files are compared with the times that a text tells."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from belljar._native import unchanged


def told(top: Path, *names: str) -> bytes:
    return b"".join(
        b"%d %s\n" % ((top / name).stat().st_mtime_ns, os.fsencode(name)) for name in names
    )


def test_what_has_its_time_is_unchanged(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b/ü").write_text("x")
    text = told(tmp_path, "", "a b", "a b/ü", str(tmp_path / "a b"))
    top = os.fsencode(tmp_path)
    assert unchanged(top, text)
    assert unchanged(top, b"")
    os.utime(tmp_path / "a b/ü", ns=(1, 1))
    assert not unchanged(top, text)
    os.unlink(tmp_path / "a b/ü")
    assert not unchanged(top, text)


@pytest.mark.parametrize(
    "text",
    [b"\n", b"1", b"1\n", b"x y\n", b"1 a", b" 1 a\n\n", b"99999999999999999999 \n", b"1 \0\n",
     b"5 " + b"a" * 5000 + b"\n", b"-1 no\n"],
)  # fmt: skip
def test_what_tells_no_time_is_a_change(tmp_path: Path, text: bytes) -> None:
    assert not unchanged(os.fsencode(tmp_path), text)


def test_no_directory_is_a_change(tmp_path: Path) -> None:
    assert not unchanged(os.fsencode(tmp_path / "none"), b"")
