"""The loader's list tells only of what the guest can see."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from belljar.confine.image import loader_cache
from belljar.confine.image.loader_cache import only, write

MAGIC = b"glibc-ld.so.cache1.1"


def made(rows: list[tuple[str, str, int]]) -> bytes:
    entries, strings = b"", b""
    begin = 48 + 24 * len(rows)
    for name, path, hardware in rows:
        at = begin + len(strings)
        entries += struct.pack("<iIIIQ", 0x0303, at, at + len(name) + 1, 0, hardware)
        strings += name.encode() + b"\0" + path.encode() + b"\0"
    return MAGIC + struct.pack("<II", len(rows), len(strings)) + bytes(20) + entries + strings


ROWS = [
    ("libz.so.1", "/lib/x/libz.so.1", 0),
    ("libsecret.so", "/opt/alice/libsecret.so", 0),
    ("libpython3.so", "/usr/local/lib/libpython3.so", 0),
    ("libfast.so", "/lib/x/libfast.so", 1 << 62),
    ("liba.so", "/lib/x/liba.so", 0),
]
KEPT = [
    ("libz.so.1", "/lib/x/libz.so.1", 0),
    ("libpython3.so", "/python/lib/libpython3.so", 0),
    ("liba.so", "/lib/x/liba.so", 0),
]
MOVED = {"/usr/local/lib/libpython3.so": "/python/lib/libpython3.so"}


@pytest.mark.parametrize("before", [b"", b"ld.so-1.7.0\0" + bytes(100)])
def test_what_is_not_shown_is_not_listed_and_what_moved_is_found(before: bytes) -> None:
    assert only(before + made(ROWS), ("/lib/x",), MOVED) == made(KEPT)


@pytest.mark.parametrize("data", [b"", b"x" * 100, MAGIC, made(ROWS)[:60]])
def test_another_form_is_no_list(data: bytes) -> None:
    assert only(data, ("/lib/x",), {}) == b""


def test_it_is_written_for_the_guest_to_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "ld.so.cache"
    monkeypatch.setattr(loader_cache, "PLACE", str(place))
    place.write_bytes(made(ROWS))
    write(str(tmp_path / "list"), ("/lib/x",), MOVED)
    assert (tmp_path / "list").read_bytes() == made(KEPT)
    assert (tmp_path / "list").stat().st_mode & 0o777 == 0o644
    place.write_bytes(b"another form")
    write(str(tmp_path / "list"), ("/lib/x",), MOVED)
    assert (tmp_path / "list").read_bytes() == b""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ld.so.cache", "list"]
