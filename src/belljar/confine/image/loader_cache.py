"""The list of libraries that the dynamic loader reads, with only what the guest can see.

Format: glibc's `cache.h`, "glibc-ld.so.cache1.1": a head of 48 bytes, entries of 24 (flags, key,
value, OS version, hardware), then the strings; keys and values are offsets from the head's begin.
"""

from __future__ import annotations

import os
import struct

PLACE = "/etc/ld.so.cache"
_MAGIC = b"glibc-ld.so.cache1.1"
_HEAD, _ENTRY = 48, 24
_MOST = 1 << 24


def write(path: str, folders: tuple[str, ...], moved: dict[str, str]) -> None:
    """Put at `path` what the host's list tells of libraries in `folders`, and of those in `moved`
    by their other names; an empty file where the host's is of a form that we do not know."""
    with open(PLACE, "rb") as file:
        made = only(file.read(_MOST), folders, moved)
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}"
    with open(temporary, "wb") as out:
        out.write(made)
    os.chmod(temporary, 0o644)  # the guest is another user
    os.replace(temporary, path)


def only(data: bytes, folders: tuple[str, ...], moved: dict[str, str]) -> bytes:
    """`data` with what lies directly in `folders` or is `moved`; nothing if it is of another form.
    The order stays: the loader searches by halves."""
    begin = data.find(_MAGIC)  # an older form may come first
    if begin < 0 or len(data) < begin + _HEAD:
        return b""
    data = data[begin:]
    count = int.from_bytes(data[20:24], "little")
    if len(data) < _HEAD + count * _ENTRY:
        return b""
    rows: list[tuple[int, bytes, bytes, int]] = []
    for at in range(_HEAD, _HEAD + count * _ENTRY, _ENTRY):
        flags, key, value, version, hardware = struct.unpack_from("<iIIIQ", data, at)
        place = os.fsdecode(_string(data, value))
        place = moved.get(place, place)
        if hardware == 0 and (place in moved.values() or os.path.dirname(place) in folders):
            rows.append((flags, _string(data, key), os.fsencode(place), version))
    strings = bytearray()
    entries = bytearray()
    at = _HEAD + len(rows) * _ENTRY
    for flags, name, place_, version in rows:
        entries += struct.pack(
            "<iIIIQ", flags, at + len(strings), at + len(strings) + len(name) + 1, version, 0
        )
        strings += name + b"\0" + place_ + b"\0"
    head = _MAGIC + struct.pack("<II", len(rows), len(strings)) + data[28:32] + bytes(16)
    return head + bytes(entries) + bytes(strings)


def _string(data: bytes, at: int) -> bytes:
    return data[at : max(data.find(b"\0", at), at)]
