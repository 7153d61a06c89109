"""`SandboxExecutor` keeps to `concurrent.futures`; the sandboxes here are stand-ins."""

from __future__ import annotations

import functools
import gc
import math
import os.path
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import pytest
from boxes import Box

from belljar.adapters.executor import SandboxExecutor, WorkerEnded
from belljar.adapters.travel import CannotTravel, importable_by, pack
from belljar.errors import GuestError, SandboxEnded

FACTOR = 3
TABLE = {"a": (1, 2.5), "b": [b"x", None]}
STREAM = sys.stdout
gate = threading.Event()
started = threading.Event()


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    Box.made = Box.open = 0
    gate.clear()
    started.clear()
    yield
    gc.collect()
    assert Box.open == 0


def pool(workers: int = 2, **more: Any) -> SandboxExecutor:
    return SandboxExecutor(None, workers, sandbox=Box, modules={__name__: ""}, **more)


def test_one_import_may_be_a_text_and_the_policy_a_file(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text('schema = 1\n[modules]\nimport = ["numpy"]\n')
    for policy, options in ((tmp_path / "p.toml", {}), (None, {"import_": "numpy"})):
        with SandboxExecutor(policy, 1, sandbox=Box, **options) as executor:
            assert executor._importable("numpy.linalg")


def wait_for_gate(value: int = 0) -> int:
    started.set()
    assert gate.wait(30)
    return value


def fail(text: str) -> None:
    raise ValueError(text)


def triple(value: int) -> int:
    return helper(value) * FACTOR


def helper(value: int) -> int:
    return math.floor(value)


def looked_up(key: str) -> Any:
    return TABLE[key], os.path.basename("/a/b")


def shouting() -> None:
    STREAM.write("x")


@functools.lru_cache
def decorated() -> int:
    return 1


async def later() -> int:
    return 1


class Thing:
    def method(self) -> int:
        return 1


def test_calls_are_done_and_their_results_come_in_order() -> None:
    with pool() as executor:
        assert executor.submit(triple, 5).result(30) == 15
        assert list(executor.map(triple, range(20), chunksize=7)) == [3 * n for n in range(20)]
        assert list(executor.map("math:gcd", [4, 6], [6, 9])) == [2, 3]
        assert executor.submit(functools.partial(pow, 2), 5).result(30) == 32
        assert executor.submit(functools.partial(int, base=2), "101").result(30) == 5


def test_keywords_named_fn_and_self_are_the_functions() -> None:
    def call(executor: SandboxExecutor) -> Any:
        return executor.submit(dict, fn=1, self=2).result(30)

    with pool() as executor:
        assert call(executor) == {"fn": 1, "self": 2}


def test_workers_are_started_when_they_are_needed_and_no_more() -> None:
    with pool(3) as executor:
        for n in range(10):
            assert executor.submit(triple, n).result(30) == 3 * n
            time.sleep(0.01)
        assert Box.made <= 2  # the first may not have been idle yet
        waiting = [executor.submit(wait_for_gate, n) for n in range(6)]
        gate.set()
        assert [one.result(30) for one in waiting] == list(range(6))
    assert Box.made <= 3


def test_what_a_call_raises_is_its_futures() -> None:
    with pool(1) as executor:
        bad = executor.submit(fail, "no")
        with pytest.raises(GuestError, match="no"):
            bad.result(30)
        assert executor.submit(triple, 1).result(30) == 3
        with pytest.raises(GuestError):
            list(executor.map(fail, ["a", "b"]))
    assert Box.made == 1


def test_a_worker_that_dies_loses_its_own_call_and_is_replaced() -> None:
    with pool(1) as executor:
        first = executor.submit(sys.exit, 3)
        second = executor.submit(triple, 2)
        error = first.exception(30)
        assert isinstance(error, WorkerEnded)
        assert isinstance(error, futures.BrokenExecutor)
        assert isinstance(error, SandboxEnded)
        assert (error.ended_by, error.result) == ("signal", "how")
        assert second.result(30) == 6
    assert Box.made == 2


def test_a_sandbox_that_cannot_be_made_is_its_calls_error() -> None:
    tries: list[int] = []

    def make(policy: Any, **options: Any) -> Box:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("no memory")
        return Box(policy)

    with SandboxExecutor(None, 1, sandbox=make) as executor:
        with pytest.raises(OSError, match="no memory"):
            executor.submit("math:sqrt", 4).result(30)
        assert executor.submit("math:sqrt", 4).result(30) == 2.0


def test_after_shutdown_nothing_is_taken_and_what_was_is_done() -> None:
    executor = pool(1)
    taken = [executor.submit(wait_for_gate, n) for n in range(3)]
    executor.shutdown(wait=False)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(triple, 1)
    gate.set()
    assert [one.result(30) for one in taken] == [0, 1, 2]
    executor.shutdown()
    executor.shutdown()


def test_what_waits_can_be_cancelled_and_what_runs_cannot() -> None:
    executor = pool(1)
    running = executor.submit(wait_for_gate, 7)
    assert started.wait(30)
    waiting = [executor.submit(triple, n) for n in range(3)]
    assert waiting[1].cancel()
    assert not running.cancel()
    threading.Timer(0.05, gate.set).start()
    executor.shutdown(cancel_futures=True)
    assert running.result(0) == 7
    assert all(one.cancelled() for one in waiting)
    done, not_done = futures.wait([running, *waiting], timeout=30)
    assert len(done) == 4
    assert not not_done


def test_map_gives_up_in_time() -> None:
    with pool(1) as executor:
        results = executor.map(wait_for_gate, [1], timeout=0.05)
        with pytest.raises(TimeoutError):
            next(iter(results))
        gate.set()


def test_callbacks_waiting_and_as_completed_work() -> None:
    seen = []
    with pool() as executor:
        many = [executor.submit(triple, n) for n in range(8)]
        for one in many:
            one.add_done_callback(lambda future: seen.append(future.result()))
        got = {one.result() for one in futures.as_completed(many, timeout=30)}
    assert got == {3 * n for n in range(8)} == set(seen)


def test_a_guest_serves_so_many_calls_as_it_may() -> None:
    with pool(1, max_tasks_per_child=2) as executor:
        assert list(executor.map(triple, range(5))) == [0, 3, 6, 9, 12]
    assert Box.made == 3


def test_an_initializer_runs_once_in_each_guest() -> None:
    calls: list[int] = []
    sys.modules["counted_by_test"] = module = type(sys)("counted_by_test")
    module.__dict__["begin"] = calls.append
    try:
        begin = "counted_by_test:begin"
        with pool(1, initializer=begin, initargs=(5,), max_tasks_per_child=2) as executor:
            assert list(executor.map(triple, range(4))) == [0, 3, 6, 9]
        assert calls == [5, 5]
    finally:
        del sys.modules["counted_by_test"]


def test_an_initializer_that_fails_breaks_the_executor() -> None:
    with pool(1, initializer=fail, initargs=("no database",)) as executor:
        first = executor.submit(triple, 1)
        with pytest.raises(futures.BrokenExecutor, match="no database"):
            first.result(30)
        with pytest.raises(futures.BrokenExecutor, match="no database"):
            executor.submit(triple, 1)


def test_an_executor_that_is_lost_ends_its_workers() -> None:
    executor = pool(1)
    assert executor.submit(triple, 1).result(30) == 3
    threads = list(executor._threads)
    del executor
    gc.collect()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def test_the_end_of_the_program_waits_for_what_was_submitted() -> None:
    code = (
        f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})\n"
        "from boxes import Box\n"
        "from belljar.adapters.executor import SandboxExecutor\n"
        "executor = SandboxExecutor(None, 1, sandbox=Box)\n"
        "executor.submit('time:sleep', 0.2)\n"
        "executor.submit('builtins:print', 'done', flush=True)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    assert run.stdout == b"done\n"


@pytest.mark.parametrize("wrong", [{"max_workers": 0}, {"max_tasks_per_child": 0}])
def test_numbers_that_make_no_sense_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="must be"):
        SandboxExecutor(sandbox=Box, **wrong)


def test_options_go_to_each_sandbox() -> None:
    with SandboxExecutor(None, 1, sandbox=Box, memory="1G") as executor:
        executor.submit("math:sqrt", 4).result(30)
    assert Box.options == {"memory": "1G"}


# --- how functions travel ------------------------------------------------------------------------


def nothing(_module: str) -> bool:
    return False


def arrived(function: Any) -> Any:
    """The function as the guest has it: made from its source alone."""
    how = pack(function, nothing)
    names: dict[str, Any] = {"__name__": how.module}
    exec(how.source, names)
    return names[how.target.partition(":")[2]]


def test_a_function_goes_with_what_it_needs() -> None:
    assert arrived(triple)(5) == 15
    assert arrived(looked_up)("a") == ((1, 2.5), "b")
    assert arrived(fail).__code__.co_firstlineno > 0
    assert pack(triple, nothing).source.count("import math") == 1


def test_the_same_source_is_the_same_module() -> None:
    assert pack(triple, nothing).module == pack(triple, nothing).module
    assert pack(triple, nothing).module != pack(fail, nothing).module


def test_what_the_guest_can_import_is_named() -> None:
    known = importable_by(["Some-Package", "numpy"], ["mine"])
    for module in ("math", "builtins", "json.decoder", "mine", "mine.sub", "some_package", "numpy"):
        assert known(module), module
    for module in ("yours", "pytest", "__main__"):
        assert not known(module), module
    assert pack(math.hypot, known).target == "math:hypot"
    assert pack(len, known).target == "builtins:len"
    assert pack(str.upper, known).target == "builtins:str.upper"
    assert pack(dict.fromkeys, known).target == "builtins:dict.fromkeys"


def nested() -> Any:
    def inner() -> int:
        return 1

    return inner


def local() -> Any:
    value = 3
    return lambda: value


WRONG = {
    "a lambda": (lambda: 1, "lambda"),
    "a nested function": (nested(), "inside another function"),
    "a closure": (local(), "inside another function"),
    "a decorated function": (decorated, "cannot be imported by the guest|decorated"),
    "an asynchronous function": (later, "asynchronous"),
    "a bound method": (Thing().method, "bound to an object"),
    "a method of data": ("abc".upper, "bound to an object"),
    "a function of a class": (Thing.method, "in a class"),
    "one that needs a stream": (shouting, "STREAM, a"),
    "a text without a colon": ("math", "module:function"),
    "no function": (3, "no function"),
}


@pytest.mark.parametrize(("function", "why"), WRONG.values(), ids=WRONG)
def test_what_cannot_travel_says_why(function: Any, why: str) -> None:
    with pytest.raises(CannotTravel, match=why):
        pack(function, nothing)


def test_a_function_without_a_source_says_so() -> None:
    names: dict[str, Any] = {"__name__": "made_up"}
    exec("def f():\n return 1\n", names)
    with pytest.raises(CannotTravel, match="source of f is not known"):
        pack(names["f"], nothing)


def test_a_submit_that_cannot_travel_is_a_type_error_at_once() -> None:
    with pool(1) as executor, pytest.raises(TypeError):
        executor.submit(lambda: 1)
