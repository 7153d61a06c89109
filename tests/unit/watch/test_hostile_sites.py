"""A program names any file as its code's: what lies there costs us little, and ends nothing."""

from __future__ import annotations

import os
import struct
import time
import zipfile
from pathlib import Path

import pytest

from belljar.watch import budget as bounds
from belljar.watch import zips
from belljar.watch.attribute import PROGRAM, Attribution
from belljar.watch.zips import Zip


def archive(path: Path, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as made:
        made.writestr("good/a.py", "")
        made.writestr("good-1.0.dist-info/RECORD", "good/a.py,,\n")
        made.writestr("good-1.0.dist-info/METADATA", "Name: Good\nVersion: 1.0\n")
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_python_imports_from_is_read(tmp_path: Path, method: int) -> None:
    found = Attribution().of_file(f"{archive(tmp_path / 'a.zip', method)}/good/a.py")
    assert found == "Good 1.0"


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_members_that_only_their_maker_can_bound_are_not_unpacked(
    tmp_path: Path, method: int
) -> None:
    path = archive(tmp_path / "a.zip", method)
    data = bytearray(path.read_bytes())
    at = data.find(b"PK\3\4")
    while at >= 0:  # as the attack had it: wrong properties in each member
        name, extra = struct.unpack_from("<HH", data, at + 26)
        data[at + 30 + name + extra + 4] = 0xFF
        at = data.find(b"PK\3\4", at + 4)
    path.write_bytes(data)
    made = Zip.of(str(path))
    assert made is not None
    assert made.read("good-1.0.dist-info/RECORD", 100) == b""
    assert Attribution().of_file(f"{path}/good/a.py") == "good 1.0"  # by its folder's name


def test_whatever_byte_is_wrong_nothing_is_raised(tmp_path: Path) -> None:
    good = archive(tmp_path / "a.zip").read_bytes()
    for at in range(len(good)):
        for byte in (0x00, 0xFF, good[at] ^ 0x01):
            (tmp_path / "a.zip").write_bytes(good[:at] + bytes((byte,)) + good[at + 1 :])
            made = Zip.of(str(tmp_path / "a.zip"))
            if made is not None:
                made.folders()
                for name in ("RECORD", "METADATA"):
                    made.read(f"good-1.0.dist-info/{name}", 100)


def many(path: Path, count: int, told: int) -> None:
    """An archive of `count` members, each without any data, that says it has `told`."""
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 0, 20, *[0] * 8, 1, *[0] * 6) + b"a"
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, told, told, len(entry) * count, 0, 0)
    path.write_bytes(entry * count + end)


@pytest.mark.parametrize("told", [1, 60_000])
def test_a_large_directory_is_not_parsed_whatever_it_says(
    tmp_path: Path, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(tmp_path / "some.zip", 3900, told)
    assert Zip.of(str(tmp_path / "some.zip")) is not None
    parsed: list[str] = []
    made = zipfile.ZipInfo

    def info(name: str) -> zipfile.ZipInfo:
        parsed.append(name)
        return made(name)

    monkeypatch.setattr(zipfile, "ZipInfo", info)
    for count in (4100, 60_000, 1_300_000):
        many(tmp_path / "many.zip", count, told)
        assert Zip.of(str(tmp_path / "many.zip")) is None
    assert parsed == []


def test_a_pipe_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "a.zip")
    assert Zip.of(str(tmp_path / "a.zip")) is None
    monkeypatch.setattr(os.path, "isfile", lambda path: True)  # it was a file a moment ago
    assert Attribution().of_file(f"{tmp_path}/a.zip/good/a.py") == PROGRAM


def test_descriptors_are_not_left_open(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\3\4")
    os.mkfifo(tmp_path / "pipe")
    before = len(os.listdir("/proc/self/fd"))
    for name in ["a.zip", "pipe"] * 20:
        assert Zip.of(str(tmp_path / name)) is None
    assert len(os.listdir("/proc/self/fd")) == before


def test_so_many_archives_are_looked_at_in_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    real = zips._open

    def count(path: str) -> object:
        opened.append(path)
        return real(path)

    monkeypatch.setattr(zips, "_open", count)
    attribution = Attribution()
    for number in range(40):
        path = archive(tmp_path / f"{number}.zip")
        found = attribution.of_file(f"{path}/good/a.py")
        assert found == ("Good 1.0" if number < 16 else PROGRAM)
    assert len(opened) == 16


def fill(site: Path, count: int, record: str) -> None:
    for number in range(count):
        info = site / f"p{number}-1.dist-info"
        info.mkdir(parents=True)
        (info / "RECORD").write_text(record)


@pytest.mark.parametrize("kind", ["byte", "name", "distribution"])
def test_the_bounds_hold_for_all_sites_together(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(bounds._MOST, kind, 30)
    attribution = Attribution()
    for number in range(5):
        site = tmp_path / f"{number}/site-packages"
        fill(site, 8, "shared/a.py,,\nb/c.py,,\n")
        attribution.of_file(f"{site}/shared/a.py")
    assert attribution._budget.left(kind) == 0
    kept = sum(len(text) for one in attribution._sites.values() for text in one._lists.values())
    if kind == "byte":
        assert kept <= 30 + 40  # each has a newline in front
    assert sum(len(one.distributions) for one in attribution._sites.values()) <= (
        40 if kind == "byte" else 30
    )


def test_a_site_of_large_lists_takes_no_long_time(tmp_path: Path) -> None:
    fill(tmp_path / "site-packages", 40, "a\n" * (2 << 20))
    before = time.process_time()
    attribution = Attribution()
    for number in range(20):
        attribution.of_file(f"{tmp_path}/site-packages/{'d/' * 1000}{number}.py")
    assert time.process_time() - before < 10
    assert attribution._budget.left("byte") == 0


def test_when_the_time_is_up_nothing_more_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "site-packages", 1, "good/a.py,,\n")
    assert Attribution().of_file(f"{tmp_path}/site-packages/good/a.py") == "p0 1"
    monkeypatch.setattr(bounds, "_LONGEST", 0.0)
    assert Attribution().of_file(f"{tmp_path}/site-packages/good/a.py") == "good"
    assert Attribution().of_file(f"{tmp_path}/x/a.py") == PROGRAM
