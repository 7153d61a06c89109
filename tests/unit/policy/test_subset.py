"""The tables of what `sys` and `os` are in a guest know every attribute of this interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from belljar.policy.documents import DANGEROUS, GIVEN, HEIRS, SAFE, UNNAMED, judged
from belljar.policy.interpreter import WITHHELD, WITHHELD_FROM_PYTHON
from belljar.policy.subset import KEPT, NEUTRAL, OS, REMOVED, SYS

ROOT = Path(__file__).parents[3]
SOMETIMES = {
    "ps1", "ps2", "last_exc", "last_type", "last_value", "last_traceback", "tracebacklimit",
    "__interactivehook__",  # `site` sets it, which guests start without
}  # fmt: skip


def test_every_attribute_of_sys_is_in_the_table() -> None:
    code = "import sys; print(*dir(sys))"
    run = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=True)
    assert set(run.stdout.decode().split()) - set(SYS) <= SOMETIMES


def test_what_the_table_calls_removed_is_what_is_taken_out() -> None:
    removed = {name for name, (verdict, _) in SYS.items() if verdict == REMOVED}
    assert removed == {*WITHHELD, *WITHHELD_FROM_PYTHON}
    assert len(set(WITHHELD)) == len(WITHHELD)
    assert {verdict for verdict, _ in SYS.values()} == {KEPT, NEUTRAL, REMOVED}


def test_what_a_document_of_2006_calls_dangerous_is_taken_out_or_somebody_needs_it() -> None:
    assert not SAFE & DANGEROUS
    assert not UNNAMED & (SAFE | DANGEROUS | GIVEN)
    assert GIVEN <= SAFE | DANGEROUS
    for name, (verdict, why) in SYS.items():
        if judged(name).startswith("dangerous") and verdict == KEPT:
            assert "need" in why or name == "setrecursionlimit", name
        if judged(name) == "later":
            assert name not in {*GIVEN, *HEIRS}
    assert {*HEIRS.values()} <= SAFE | DANGEROUS
    assert {*HEIRS} <= {*SYS}
    kept = {name for name, (verdict, _) in SYS.items() if verdict != REMOVED}
    assert kept >= {name for name in SAFE | GIVEN if hasattr(sys, name)} - SOMETIMES


def test_the_names_in_os_exist_or_did() -> None:
    names = [name for words, _, _ in OS for name in words.split()]
    assert len(names) == len(set(names))
    newer = {"process_cpu_count", "pidfd_open", "unshare", "setns"}
    assert {name for name in names if not hasattr(os, name)} <= newer


def test_the_page_is_what_the_tables_say() -> None:
    made = subprocess.run(
        [sys.executable, str(ROOT / "tools/interpreter_page.py")],
        check=True,
        capture_output=True,
        env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    page = (ROOT / "docs/interpreter.md").read_bytes()
    assert made.stdout == page, "run tools/interpreter_page.py --write"
