"""Branches in every tier: where there are namespaces they work, elsewhere they are refused."""

from __future__ import annotations

import os

import pytest
from tests.conftest import cannot
from tiers import Tier, places

CODE = """
import belljar
from belljar.errors import Unenforceable
def tell(*words):
    print(*words, flush=True)
try:
    for engine in ("template", "cold"):
        box = belljar.Sandbox(ledger="none", branches=3, engine=engine)
        box.run("import mmap, os\\nx = [1]\\nshared = mmap.mmap(-1, 4096)")
        with box.fork() as one, box.fork(memory="128M") as two:
            one.run("x.append(2); shared[:1] = b'1'", check=True)
            assert (one.eval("x"), two.eval("x"), box.eval("x")) == ([1, 2], [1], [1])
            assert two.eval("shared[0]") == 0
            other = two.eval("os.getpid()")
            assert one.run(f"os.kill({other}, 9)").error.type_name == "PermissionError"
            box.close()
            with two.fork() as three:
                assert three.run("os._exit(3)").status == 3
            assert one.eval("x") == [1, 2]
    tell(box.status.tier, "done")
except Unenforceable as error:
    tell("landlock", "refused" if "PID namespace" in str(error) else error)
"""


@pytest.mark.parametrize("name", ["root", "user", "landlock", "container"])
def test_branches_in_every_tier(name: str) -> None:
    if os.geteuid() and name in ("root", "container"):
        cannot("only root has this tier")
    for base in places():
        tier = Tier(name, base)
        run = tier.start(words=[*tier.enter(), tier.python, "-c", CODE])
        out, errors = run.communicate(timeout=100)
        told = "refused" if tier.kind == "landlock" else "done"
        assert out.decode().split() == [tier.kind, told], errors.decode() + out.decode()
