"""Large values of live sandboxes in every tier: memory that is shared, handed over, given back."""

from __future__ import annotations

import os

import pytest
from tests.conftest import cannot
from tiers import Tier, places

CODE = """
import os
import belljar
from belljar.sandbox.live import memory
with belljar.Sandbox(ledger="none", memory="64M") as box:
    data = os.urandom(3_000_000)
    assert box.call("bytes", data) == data
    assert box.eval("bytes(5_000_000)") == bytes(5_000_000)
    assert box.call("bytearray", data) == bytearray(data)
    box.eval("1")
    assert box._asking.peer.buffers.used == 0
    for _ in range(40):  # more than the room, one after the other
        assert len(box.call("bytes", data)) == 3_000_000
    mine, yours = memory.pair(4096)
    assert not memory.alone(mine)
    os.close(yours)
    assert memory.alone(mine)  # so nothing needs to be copied
    print(box.status.tier, "done")
"""


@pytest.mark.parametrize("name", ["root", "user", "landlock", "container"])
def test_large_values_cross_in_every_tier(name: str) -> None:
    if os.geteuid() and name in ("root", "container"):
        cannot("only root has this tier")
    for base in places():
        tier = Tier(name, base)
        run = tier.start(words=[*tier.enter(), tier.python, "-c", CODE])
        out, errors = run.communicate(timeout=100)
        assert out.decode().split() == [tier.kind, "done"], errors.decode()
