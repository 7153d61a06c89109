"""Others than Belljar for `bench/live.py`: each where it is installed.

`peers(stack)` gives rows (name, how often in a turn, a function that returns seconds) and the
names of those that are not here. What they confine differs: the pools of the standard library
nothing, sandlock by Landlock and seccomp, pydantic-monty by being another language, Pyodide by
WebAssembly.
"""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context

Ways = list[tuple[str, int, Callable[[], float]]]

#: Prints microseconds: until the first result, a warm run, a call of a host function.
PYODIDE = """
const begun = performance.now();
require('pyodide').loadPyodide().then(p => {
  p.runPython('1 + 1');
  const up = performance.now();
  p.globals.set('add', (a, b) => a + b);
  p.runPython('def ask(n):\\n    for i in range(n): add(1, 1)');
  const time = (work, n) => {
    const start = performance.now(); work(); return (performance.now() - start) / n * 1e3; };
  const once = () => { for (let i = 0; i < 300; i++) p.runPython('1 + 1'); };
  once();
  console.log(JSON.stringify({
    'fresh process to first result': (up - begun) * 1e3, "warm run('1 + 1')": time(once, 300),
    'guest calls a host function': time(() => p.runPython('ask(1000)'), 1000)}));
});
"""


def add(a: int, b: int) -> int:
    return a + b


def timed(work: Callable[[], object], share: int = 1) -> Callable[[], float]:
    def once() -> float:
        began = time.perf_counter()
        work()
        return (time.perf_counter() - began) / share

    return once


@contextmanager
def pool(method: str) -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, mp_context=get_context(method)) as executor:
        yield executor


def fresh_pool(method: str) -> Callable[[], float]:
    def once() -> float:
        began = time.perf_counter()
        with pool(method) as executor:
            assert executor.submit(add, 1, 1).result() == 2
            return time.perf_counter() - began

    return once


def answer(there: multiprocessing.connection.Connection) -> None:
    there.send(2)


def forkserver() -> float:
    """One process of the fork server until its answer is here; its end is not counted."""
    context = get_context("forkserver")
    began = time.perf_counter()
    here, there = context.Pipe(False)
    process = context.Process(target=answer, args=(there,))
    process.start()
    assert here.recv() == 2
    took = time.perf_counter() - began
    process.join()
    here.close()
    there.close()
    return took


def exec_python() -> None:
    pid = os.posix_spawn(sys.executable, ["python", "-I", "-S", "-c", "pass"], {})
    os.waitpid(pid, 0)


def sandlock() -> Ways | None:
    if importlib.util.find_spec("sandlock") is None:
        return None
    from sandlock import Sandbox

    shown = ["/usr", "/lib", "/lib64", "/etc", "/proc", "/dev", sys.base_prefix, sys.prefix]
    # python -I -S; then clones of an empty Python, which cannot answer: they only end
    run = [sys.executable, "-I", "-S", "-c", "print(2)"]

    def fresh() -> None:
        assert Sandbox(fs_readable=shown).run(run).stdout == b"2\n"

    def clones() -> None:
        parent = Sandbox(fs_readable=shown, init_fn=lambda: None, work_fn=lambda number: None)
        assert len(parent.fork(20).pids) == 20

    return [
        ("sandlock: fresh run of python -I -S", 1, timed(fresh)),
        ("sandlock: fork, each of 20 clones", 1, timed(clones, 20)),
    ]


def monty(stack: ExitStack) -> Ways | None:
    if importlib.util.find_spec("pydantic_monty") is None:
        return None
    from pydantic_monty import Monty

    session = stack.enter_context(stack.enter_context(Monty()).checkout())
    workers = stack.enter_context(Monty())
    loop = "n = 0\nfor i in range(100):\n    n = add(i, 1)\nn"

    def fresh() -> float:
        began = time.perf_counter()
        with Monty() as one, one.checkout() as box:
            assert box.feed_run("1 + 1") == 2
            return time.perf_counter() - began

    def warm_worker() -> float:
        began = time.perf_counter()
        with workers.checkout() as box:
            assert box.feed_run("1 + 1") == 2
            return time.perf_counter() - began

    def ask() -> float:
        with workers.checkout() as box:  # a session may call a thousand times, and no more
            box.feed_run("1 + 1")
            began = time.perf_counter()
            assert box.feed_run(loop, external_lookup={"add": add}) == 100
            return (time.perf_counter() - began) / 100

    return [
        ("pydantic-monty: new process to first result", 2, fresh),
        ("pydantic-monty: session in a warm worker", 2, warm_worker),
        ("pydantic-monty: warm feed of 1 + 1", 50, timed(lambda: session.feed_run("1 + 1"))),
        ("pydantic-monty: its code calls a host function", 3, ask),
    ]


def pyodide() -> dict[str, float] | None:
    """Once, for it takes seconds. Found as node finds it: NODE_PATH, the working directory."""
    if not shutil.which("node"):
        return None
    command = ["node", "-e", PYODIDE]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    found: dict[str, float] | None = json.loads(done.stdout) if done.returncode == 0 else None
    return found


def peers(stack: ExitStack) -> tuple[Ways, list[tuple[str, str]]]:
    """Rows of those that are here, and why the others are not."""
    warm = stack.enter_context(pool("spawn"))
    warm.submit(add, 1, 1).result()
    ways: Ways = [
        ("bare: fork and exec of python -I -S", 2, timed(exec_python)),
        ("ProcessPoolExecutor: fresh (spawn)", 1, fresh_pool("spawn")),
        ("ProcessPoolExecutor: fresh (forkserver)", 1, fresh_pool("forkserver")),
        ("ProcessPoolExecutor: warm call", 50, timed(lambda: warm.submit(add, 1, 1).result())),
        ("multiprocessing: a process of the forkserver", 2, forkserver),
    ]
    missing: list[tuple[str, str]] = []
    for name, peer in (("sandlock", sandlock), ("pydantic-monty", lambda: monty(stack))):
        try:
            found = peer()
        except Exception as error:  # noqa: BLE001 - what they raise is theirs, here and below
            missing.append((name, str(error)))
            continue
        if found is None:
            missing.append((name, "not installed"))
        for row in found or ():
            try:
                row[2]()
            except Exception as error:  # noqa: BLE001
                missing.append((row[0], str(error)))
            else:
                ways.append(row)
    return ways, missing
