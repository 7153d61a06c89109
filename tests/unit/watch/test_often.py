"""Events that come by the million: the first of each process are kept, the rest is counted."""

from __future__ import annotations

from recorded import record

ASKS = """
import os
def ask(times):
    for _ in range(times):
        id(None)
ask(70_000)
if os.fork() == 0:
    ask(65)
    os._exit(0)
os.wait()
"""


def test_what_is_not_kept_is_counted_to_the_last_one() -> None:
    found = record(ASKS)
    parent = [e for e in found.events if e.pid == found.pid]
    kept = [e for e in parent if e.name == "builtins.id"]
    counted = [e.args for e in parent if e.name == "belljar.counted"]
    assert len(kept) == 64
    assert [name for name, _ in counted if name == "builtins.id"] == ["builtins.id"] * 2
    assert len(kept) + sum(n for name, n in counted if name == "builtins.id") >= 70_000
    assert not found.findings


def test_a_child_counts_its_own() -> None:
    child = [e for e in record(ASKS).events if e.name in ("builtins.id", "belljar.counted")]
    pids = {e.pid for e in child}
    counted = {e.pid: e.args for e in child if e.name == "belljar.counted"}
    assert len(pids) == 2
    assert ("builtins.id", 1) in counted.values()


def test_whoever_names_such_an_event_gets_every_one() -> None:
    found = record(ASKS, settings="keep\tbuiltins.id\nskip\t*\n")
    names = [e.name for e in found.events]
    assert names.count("builtins.id") >= 70_065
    assert "belljar.counted" not in names
