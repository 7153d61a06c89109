"""What is made to be dear costs the host what its bytes are worth (`bench/hostile.py`)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


def hostile() -> ModuleType:
    path = Path(__file__).parents[4] / "bench" / "hostile.py"
    spec = importlib.util.spec_from_file_location("hostile", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BENCH = hostile()
FEW, MANY = 4 << 10, 32 << 10


def made(name: str, size: int) -> bytes:
    BENCH.SIZE = size
    data: bytes = {**BENCH.HONEST, **BENCH.DEAR}[name]()
    return data


def each(data: bytes) -> float:
    found: float = BENCH.cost(data)[0]
    return found


@pytest.mark.parametrize("name", BENCH.DEAR)
def test_eight_times_the_bytes_cost_eight_times_as_much(name: str) -> None:
    few, many = made(name, FEW), made(name, MANY)
    honest = made("honest: a dict of texts", MANY)
    for last in (False, False, False, True):  # processor time, but of a machine with other work
        one, other, fair = each(few), each(many), each(honest)
        # what is cheaper than honest data may cost more where caches end
        good = other < max(4 * one, fair) and other < 60 * fair
        if good or last:
            assert good, (one, other, fair)
            break
    for data in (few, many):  # docs/bridge.md
        assert BENCH.memory(data) * len(data) < 96 * len(data) + (1 << 17)


def test_a_quadratic_cost_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("belljar.sandbox.guest.reading.watched", lambda *args: False)
    name = "keys of one hash (-1 mod 2**61 - 1)"
    assert each(made(name, MANY)) > 2 * each(made(name, FEW))  # 8 times as many; a busy machine
