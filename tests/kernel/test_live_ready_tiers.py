"""Guests that are ready, in each tier that has templates; where there are none, there are none."""

from __future__ import annotations

import os

import pytest
from tests.conftest import cannot
from tiers import Tier, places

CODE = """
import os, time
import belljar
from belljar.sandbox.live import ready
data = os.path.join(os.environ["HOME"], "ready-data")
os.makedirs(data, exist_ok=True)
with open(os.path.join(data, "x"), "w") as file:
    file.write("granted")
pid = 0
for _ in range(2):
    with belljar.Sandbox(ledger="none", read=[data], write=[data]) as box:
        tier = box.status.tier
        assert box.eval(f"open('{data}/x').read()") == "granted"
until = time.monotonic() + 60
pool = ready.pool()
while tier in ("root", "user") and not pool.ready() and time.monotonic() < until:
    time.sleep(0.01)
pids = [guest.walls.keeper.pid for slot in pool._slots.values() for guest in slot.guests]
with belljar.Sandbox(ledger="none", read=[data], write=[data]) as box:
    assert box.eval(f"open('{data}/x').read()") == "granted"
    assert box.run("import os; os.listdir('/etc/ssl')").error is not None
    print(tier, [box._guest.walls.keeper.pid] == pids)
"""


@pytest.mark.parametrize("name", ["root", "user", "landlock", "container"])
def test_the_third_of_a_kind_was_ready_where_there_are_templates(name: str) -> None:
    if os.geteuid() and name in ("root", "container"):
        cannot("only root has this tier")
    for base in places():
        tier = Tier(name, base)
        run = tier.start(words=[*tier.enter(), tier.python, "-c", CODE])
        out, errors = run.communicate(timeout=110)
        was = "True" if tier.kind in ("root", "user") else "False"
        assert out.decode().split() == [tier.kind, was], errors.decode()
        assert errors == b""
