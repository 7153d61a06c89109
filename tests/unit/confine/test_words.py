"""The language of plans, and the user whom nobody has."""

from __future__ import annotations

import os

from belljar.confine.words import encode, tier_words, unused_uid


def test_words_end_with_nul_and_keep_the_bytes_of_names() -> None:
    assert encode(["bind", "/é\udcff", ""]) == b"bind\0/\xc3\xa9\xff\0\0"
    assert encode([]) == b""


def test_the_guest_is_a_user_outside_every_range() -> None:
    assert 2_000_000_000 <= unused_uid() < 2_000_000_000 + 4_194_304 < 1 << 31
    assert unused_uid() == 2_000_000_000 + os.getpid() % 4_194_304


def test_the_tier_comes_with_its_user() -> None:
    assert tier_words("user") == f"tier\0user\0{unused_uid()}\0".encode()
