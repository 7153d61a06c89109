"""The filters with which a guest narrows itself are ours, whatever its native code does."""

from __future__ import annotations

from typing import Any

import pytest

import belljar

CTYPES: Any = {"import_": ["ctypes"], "names": "visible"}
AT, SIZE = 0x6BE11A000000, 8192
TRY = f"""
import ctypes, platform, struct
AT, SIZE = {AT}, {SIZE}
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
x86 = platform.machine() == "x86_64"
def word(value): return ctypes.c_long(value)
def call(name, *args):
    ctypes.set_errno(0)
    done = libc.syscall(*map(word, (name, *args)))
    return 0 if done >= 0 else ctypes.get_errno()
"""
CHANGES = (
    TRY
    + """
room = ctypes.create_string_buffer(SIZE)
page = ctypes.string_at(AT, SIZE)
numbers = {"munmap": (11, 215), "mprotect": (10, 226), "mremap": (25, 216), "madvise": (28, 233)}
def by(name, *args): return call(numbers[name][not x86], *args)
told = {
    "mmap": libc.mmap(word(AT), word(SIZE), 3, 0x32, -1, word(0)) == AT,
    "munmap": by("munmap", AT, SIZE) == 0,
    "one page": by("munmap", AT + 4096, 4096) == 0,
    "around": by("munmap", AT - 4096, SIZE + 8192) == 0,
    "mprotect": by("mprotect", AT, SIZE, 3) == 0,
    "mremap": by("mremap", AT, SIZE, SIZE, 1) == 0,
    "onto": by("mremap", libc.mmap(None, word(SIZE), 3, 0x22, -1, word(0)), SIZE, SIZE, 3, AT) == 0,
}
for advice in (4, 8, 9, 10, 18, 24, 102):  # all that throws contents away
    told[f"madvise {advice}"] = by("madvise", AT, SIZE, advice) == 0
same = ctypes.string_at(AT, SIZE) == page
told, same
"""
)


@pytest.mark.parametrize("engine", ["template", "cold"])
def test_nothing_changes_the_filters_that_are_let_through(engine: str) -> None:
    net: Any = {"connect": ["127.0.0.1:9"], "branches": 1}
    with belljar.Sandbox(ledger="none", engine=engine, **net, **CTYPES) as box:
        with box.fork() as branch:
            for each in (box, branch):
                result = each.run(CHANGES)
                assert result.error is None, result.error
                told, same = result.value
                assert same
                assert not any(told.values()), told
        box.run("from belljar.guest import narrow\nnarrow(import_=['ctypes'])", check=True)
        box.run("import socket")
        assert box.run("socket.socket()").error.type_name == "PermissionError"


@pytest.mark.parametrize("engine", ["template", "cold"])
def test_no_other_filter_is(engine: str) -> None:
    source = (
        TRY
        + """
code = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0x7FFF0000), 8)
head = ctypes.create_string_buffer(struct.pack("@HxxxxxxP", 1, ctypes.addressof(code)))
places = ctypes.addressof(head), AT + 8, AT - 16, AT + 5 * 16, AT + (1 << 32)
[call(317 if x86 else 277, 1, flags, at) for flags in (0, 1) for at in places]
"""
    )
    with belljar.Sandbox(ledger="none", engine=engine, **CTYPES) as box:
        result = box.run(source)
        assert result.error is None, result.error
        assert set(result.value) == {1}  # EPERM: no filter was looked at
