from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest
from joined import Joined


def memories() -> set[str]:
    """The descriptors of this process that are shared memory."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:
            continue  # the listing's own
        if name.startswith("/memfd:belljar"):
            found.add(fd)
    return found


@pytest.fixture
def both() -> Iterator[Joined]:
    gc.collect()
    before = memories()
    one = Joined()
    yield one
    one.close()
    gc.collect()
    assert memories() == before
