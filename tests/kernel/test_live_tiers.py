"""Live sandboxes in every tier that can be had here: they answer, are confined, and end."""

from __future__ import annotations

import json
import subprocess

from tiers import Tier

#: Run by the tier's own user; one line of JSON is what the test looks at.
SCRIPT = """
import json, os, sys, time
import belljar

secret, free = sys.argv[1:]
found = {}
with belljar.Sandbox(ledger="none", read=[free], cpu=1) as box:
    pid = box._guest.pid
    found["tier"] = box.status.tier
    found["value"] = box.run("x = 20\\nprint('said')\\nx + 1").value
    found["granted"] = box.eval(f"open({free!r}).read()")
    denied = box.run(f"open({secret!r})")
    found["denied"] = [(d.right, d.target) for d in denied.denials]
    box.share("ask", functions=lambda x: x * 2)
    found["asked"] = box.eval("host.ask(21)")
    found["native"] = box.run("import _socket").error is None
    fence = box._guest.clocks._fence
    box._guest.clocks._raise_fence(10.0)
    import resource
    found["raised"] = resource.prlimit(pid, resource.RLIMIT_CPU)[0] > fence
    result = box.run("while True: pass")
    found["cpu"] = result.ended_by
    found["used"] = 0.9 < result.usage.cpu < 20
with belljar.Sandbox(ledger="none") as box:
    last = box._guest.pid
    found["crash"] = box.run("import os; os.abort()").ended_by
found["wall"] = belljar.run("while True: pass", ledger="none", timeout=1).ended_by
until = time.monotonic() + 60
def left():
    return [p for p in (pid, last) if os.path.exists(f"/proc/{p}")]
while left() and time.monotonic() < until:  # without a namespace they die a moment after init
    time.sleep(0.02)
found["left"] = left()
found["tmp"] = os.listdir(os.environ["TMPDIR"])
print(json.dumps(found))
"""


def test_a_live_sandbox_in_this_tier(tier: Tier) -> None:
    secret, free = tier.home / "secret.txt", tier.home / "free.txt"
    for path in (secret, free):
        path.write_text(path.stem)
        tier.own(path)
    words = [*tier.enter(), tier.python, "-c", SCRIPT, str(secret), str(free)]
    with tier.start(words=words) as started:
        try:
            out, err = started.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            started.kill()
            raise
    assert started.returncode == 0, err.decode()
    found = json.loads(out)
    assert found == {
        "tier": tier.kind, "value": 21, "granted": "free", "denied": [["read", str(secret)]],
        "asked": 42, "native": True, "raised": True, "cpu": "cpu", "used": True,
        "crash": "signal", "wall": "wall", "left": [], "tmp": [],
    }  # fmt: skip
