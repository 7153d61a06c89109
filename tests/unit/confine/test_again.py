"""A plan that is made again of what was found before is the plan that would be made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from belljar.confine import again, plan
from belljar.confine.program import Program
from belljar.confine.runtime import Runtime, as_it_is
from belljar.model import Policy


@pytest.fixture
def runtime(outside_tmp: Path) -> Runtime:
    home = outside_tmp / "python"
    dynload = home / "lib/python3.11/lib-dynload"
    dynload.mkdir(parents=True)
    (home / "bin").mkdir()
    (home / "bin/python3.11").touch(mode=0o755)
    (dynload / "_ctypes.cpython-311-x86_64-linux-gnu.so").touch()
    stdlib = str(home / "lib/python3.11")
    return Runtime(str(home / "bin/python3.11"), "3.11.0", stdlib, str(dynload), (), (), ())


def given(
    where: Path, number: int, runtime: Runtime, policy: Policy, *, asks: bool, **program: Any
) -> tuple[Any, ...]:
    """What both are called with, for sandbox `number`."""
    folder = where / f"own-{number}"
    folder.mkdir(exist_ok=True)
    for name in ("channel", "page", "answers"):
        (folder / name).touch()
    one = Program("live", "", program.pop("args", ()), str(where), **program)
    answers, settings = (str(folder / "answers"), "ask\tos.system\n") if asks else ("", "")
    return (
        policy, runtime, one, "user", str(folder / "channel"), str(folder / "page"), "",
        str(where), answers, settings, (), (), as_it_is(runtime),
    )  # fmt: skip


@pytest.mark.parametrize("asks", [False, True])
def test_it_is_equal_to_one_that_is_made_anew(
    outside_tmp: Path, runtime: Runtime, monkeypatch: pytest.MonkeyPatch, asks: bool
) -> None:
    made: list[int] = []
    whole = plan.make
    monkeypatch.setattr(plan, "make", lambda *a: made.append(1) or whole(*a))
    for number in range(3):
        asked = given(outside_tmp, number, runtime, Policy(), asks=asks, args=(str(number),))
        assert again.make(*asked) == whole(*asked)
    assert len(made) == 1


def test_what_may_differ_is_looked_at_each_time(outside_tmp: Path, runtime: Runtime) -> None:
    data = outside_tmp / "data"
    data.mkdir()
    policy = Policy(read=[str(data)])
    first = again.make(*given(outside_tmp, 1, runtime, policy, asks=False))
    data.rename(outside_tmp / "before")
    data.mkdir()
    asked = given(outside_tmp, 1, runtime, policy, asks=False)
    assert again.make(*asked) == plan.make(*asked) != first


def test_a_library_that_came_into_the_interpreters_folder_is_seen(
    outside_tmp: Path, runtime: Runtime
) -> None:
    first = again.make(*given(outside_tmp, 1, runtime, Policy(), asks=False))
    (Path(runtime.dynload) / "_mine.cpython-311-x86_64-linux-gnu.so").touch()
    os.utime(runtime.dynload, (1, 1))
    asked = given(outside_tmp, 1, runtime, Policy(), asks=False)
    assert again.make(*asked) == plan.make(*asked) != first
