"""The language of plans: NUL-terminated words (`_native/plan.c` reads them)."""

from __future__ import annotations

import os


def encode(words: list[str]) -> bytes:
    """NUL-terminated words, names of files exactly as the host has them."""
    return "\0".join([*words, ""]).encode("utf-8", "surrogateescape")


def tier_words(tier: str) -> bytes:
    """The first part of a plan. The guest's user is one that nobody has: 2,000,000,000 and up is
    outside every range that distributions hand out (systemd's UIDS-GIDS.md), and the PID makes it
    another one for every sandbox that lives."""
    return encode(["tier", tier, str(unused_uid())])


def unused_uid() -> int:
    return 2_000_000_000 + os.getpid() % 4_194_304
