"""The tiers as fixtures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiers import Tier, places

NAMES = ("root", "user", "landlock", "container") if os.geteuid() == 0 else ("user", "landlock")


@pytest.fixture(scope="session")
def kernel_base() -> Iterator[Path]:
    yield from places()


@pytest.fixture(scope="session", params=NAMES)
def tier(request: pytest.FixtureRequest, kernel_base: Path) -> Tier:
    return Tier(request.param, kernel_base)


@pytest.fixture(scope="session", params=[n for n in NAMES if n in ("root", "user")])
def where(request: pytest.FixtureRequest, kernel_base: Path) -> Tier:
    """The tiers in which there are templates."""
    return Tier(request.param, kernel_base)
