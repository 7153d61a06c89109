"""The loader's list tells only of what the guest can see."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from belljar.confine import loader_cache
from belljar.confine.loader_cache import only, seen

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


def test_it_is_kept_until_the_host_s_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "ld.so.cache"
    monkeypatch.setattr(loader_cache, "_PLACE", str(place))
    cache = str(tmp_path)
    assert seen(("/lib/x",), MOVED, cache) == ""
    place.write_bytes(made(ROWS))
    first = seen(("/lib/x",), MOVED, cache)
    assert Path(first).read_bytes() == made(KEPT)
    assert seen(("/lib/x",), MOVED, cache) == first
    assert seen((), MOVED, cache) != first
    os.utime(place, ns=(1, 1))
    assert seen(("/lib/x",), MOVED, cache) != first
