"""Live sandboxes under the real walls: what a call gives back, what it may not do, how it ends."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import belljar
from belljar.errors import PolicyError
from belljar.ledger.entries import expand
from belljar.ledger.reader import read

LONG = 60.0  # seconds; this machine may do much else


@pytest.fixture(scope="module")
def shared() -> Iterator[belljar.Sandbox]:
    """One sandbox for all tests that do not end it."""
    with belljar.Sandbox(ledger="none") as box:
        yield box


@pytest.fixture
def box(shared: belljar.Sandbox) -> belljar.Sandbox:
    shared.reset()
    return shared


def test_the_value_of_a_run_is_that_of_its_last_expression(box: belljar.Sandbox) -> None:
    assert box.run("1 + 1").value == 2
    assert box.run("x = 5\nx * 2").value == 10
    assert box.run("x = 5").value is None
    assert box.run("").value is None
    assert box.run("if True:\n    7").value is None
    assert box.run('\'ä\'; """two\nlines"""').value == "two\nlines"


def test_variables_stay_until_they_are_reset(box: belljar.Sandbox) -> None:
    box.run("def double(x): return 2 * x")
    assert box.eval("double(21)") == 42
    box.reset()
    assert "NameError" in str(box.run("double(21)").error)
    assert box.eval("__name__") == "__main__"


def test_values_are_put_got_and_passed(box: belljar.Sandbox) -> None:
    box.put("x", [1, 2.5, None])
    box.put(y={"a": b"\0"}, z=("t",))
    assert (box.get("x"), box.get("y"), box.get("z")) == ([1, 2.5, None], {"a": b"\0"}, ("t",))
    box.run("class C:\n    n = 3\n    def m(self, k): return self.n + k\no = C()")
    assert box.get("o.n") == 3
    assert box.call("o.m", k=4) == 7
    assert box.call("math:gcd", 12, 18) == 6
    assert box.call("os.path:join", "a", "b") == "a/b"
    assert box.call("len", "four") == 4
    with pytest.raises(ValueError, match="not the name of a variable"):
        box.put("not a name", 1)
    with pytest.raises(TypeError):
        box.put("x", object())
    assert box.eval("x") == [1, 2.5, None]


def test_what_is_no_data_stays_inside(box: belljar.Sandbox) -> None:
    value = box.run("class Own: pass\nOwn()").value
    assert type(value) is belljar.Opaque
    assert "Own" in value.reason
    with pytest.raises(belljar.GuestError, match="Own"):
        box.eval("Own()")


def test_an_exception_is_told_and_the_session_goes_on(box: belljar.Sandbox) -> None:
    source = "def f():\n    raise KeyError('k')\nx = 1\nf()"
    result = box.run(source, filename="job.py")
    error = result.error
    assert (result.status, result.ended_by) == (1, "exit")
    assert error is not None
    assert (error.type_name, error.message) == ("KeyError", "'k'")
    assert error.traceback.splitlines()[:3] == [
        "Traceback (most recent call last):",
        '  File "job.py", line 4, in <module>',
        "    f()",
    ]
    assert "/belljar/" not in error.traceback
    assert box.get("x") == 1
    with pytest.raises(belljar.GuestError, match="KeyError"):
        box.run(source, check=True)
    with pytest.raises(belljar.GuestError, match="SyntaxError"):
        box.eval("1 +")
    with pytest.raises(belljar.GuestError, match="ModuleNotFoundError"):
        box.call("no_such_module:f")


def test_an_exception_whose_own_text_fails_is_told_by_its_type(box: belljar.Sandbox) -> None:
    result = box.run("class E(Exception):\n def __str__(self): 1 / 0\nraise E")
    assert result.error is not None
    assert (result.error.type_name, result.error.message) == ("E", "")
    deep = box.run("def f(): f()\nf()").error
    assert deep is not None
    assert deep.type_name == "RecursionError"
    long = box.run("raise ValueError('x' * 10**7)").error
    assert long is not None
    assert len(long.message) <= 65536


def test_system_exit_ends_the_run_and_not_the_session(box: belljar.Sandbox) -> None:
    result = box.run("import sys; sys.exit(4)")
    assert (result.status, result.ended_by, result.error) == (4, "exit", None)
    assert box.run("raise SystemExit").status == 0
    said = box.run("sys.exit('no more')")
    assert (said.status, said.stderr) == (1, b"no more\n")
    with pytest.raises(belljar.GuestError, match="SystemExit"):
        said.check()
    assert box.eval("1") == 1


def test_output_is_what_this_run_wrote_in_its_order(box: belljar.Sandbox) -> None:
    result = box.run(
        "import sys\nfor n in range(3):\n    print('out', n)\n    print('err', n, file=sys.stderr)"
    )
    assert result.stdout == b"out 0\nout 1\nout 2\n"
    assert result.stderr == b"err 0\nerr 1\nerr 2\n"
    assert result.text == "out 0\nerr 0\nout 1\nerr 1\nout 2\nerr 2\n"
    assert box.run("pass").output == ()
    box.eval("print('kept')")
    assert box.run("import os; os.write(1, b'below')").stdout == b"below"


def test_output_larger_than_a_pipe_comes_whole(box: belljar.Sandbox) -> None:
    result = box.run("import sys\nfor n in range(4):\n print('x' * 300000)\n sys.stderr.write('y')")
    assert len(result.stdout) == 4 * 300001
    assert result.text == ("x" * 300000 + "\ny") * 4


def test_events_of_a_result_are_those_of_its_run(box: belljar.Sandbox) -> None:
    for _ in range(3):
        box.eval("len('other')")
    result = box.run("import sys; sys.audit('mine', 1)")
    names = [event.name for event in result.events]
    assert names.count("mine") == 1
    assert names[0] == "compile"
    assert result.usage.events == len(names)
    assert "other" not in str(result.events)


def test_output_between_two_calls_belongs_to_the_next_result(box: belljar.Sandbox) -> None:
    box.run(
        "import threading, time\n"
        "go = threading.Event()\n"
        "def late():\n    go.wait(); print('late', flush=True); done.set()\n"
        "done = threading.Event()\n"
        "thread = threading.Thread(target=late, daemon=True); thread.start()"
    )
    assert box.run("go.set(); done.wait()").stdout == b"late\n"


def test_a_refusal_is_a_denial_of_the_call_that_met_it(tmp_path: Path, outside_tmp: Path) -> None:
    secret = outside_tmp / "secret.txt"
    secret.write_text("s")
    ledger = tmp_path / "ledger"
    with belljar.Sandbox(ledger=str(ledger), name="etl") as box:
        assert box.run("1").denials == ()
        result = box.run(f"open({str(secret)!r})")
        assert [(d.right, d.target) for d in result.denials] == [("read", str(secret))]
        assert result.denials[0].event.stack[0].file == "<run 2>"
        assert type(result.denials[0].number) is int
        assert any(event.name == "open" for event in result.events)
        assert box.run("2").denials == ()
        run = result.run_id
    whole = box.result
    assert whole is not None
    assert (whole.ended_by, whole.run_id, len(whole.denials)) == ("closed", run, 1)
    told = subprocess.run(
        [sys.executable, "-c", "from belljar.cli import main; main()", "why",
         str(ledger)], capture_output=True, text=True, check=False, timeout=LONG,
    )  # fmt: skip
    assert str(secret) in told.stdout, told


def test_grants_are_keywords_of_the_policy(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("granted")
    with belljar.Sandbox(read=[tmp_path], ledger="none") as box:
        assert box.eval(f"open({str(tmp_path / 'in.txt')!r}).read()") == "granted"
        assert box.status.level("files") == "full"
    with pytest.raises(PolicyError, match=r"^read=: "):
        belljar.Sandbox(read=5)
    with pytest.raises(TypeError, match="did you mean read"):
        belljar.Sandbox(reed=["x"])


def test_a_policy_is_loaded_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text('schema = 1\n[limits]\nmemory = "128M"\n[record]\nledger = "none"\n')
    policy = belljar.Policy.load(path)
    assert policy.limits.memory == 128 << 20
    with belljar.Sandbox(policy, cpu=2) as box:
        assert (box.policy.limits.cpu, box.policy.limits.memory) == (2.0, 128 << 20)
        assert box.run("x = 'a' * 500_000_000").error is not None
        assert box.eval("1") == 1


def test_calls_of_many_threads_queue() -> None:
    with belljar.Sandbox(ledger="none") as box:
        box.run("n = 0\ndef add():\n    global n\n    n += 1\n    print(n)\n    return n")
        found: list[tuple[object, bytes]] = []

        def work() -> None:
            for _ in range(20):
                result = box.run("add()")
                found.append((result.value, result.stdout))

        threads = [threading.Thread(target=work) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG)
        assert sorted(found) == [(n, b"%d\n" % n) for n in range(1, 101)]


def test_calls_of_shared_objects_are_made_and_recorded(tmp_path: Path) -> None:
    with belljar.Sandbox(ledger=str(tmp_path / "ledger")) as box:
        store = {"k": 1}
        handle = box.share("db", store, methods=["get"], allow={"get": lambda k: k == "k"})
        assert box.eval("host.db.get('k')") == 1
        result = box.run("host.db.get('other')")
        assert result.error is not None
        assert [(d.right, d.target) for d in result.denials] == [("call", "host.db.get")]
        assert type(result.denials[0].number) is int
        handle.revoke()
        with pytest.raises(belljar.GuestError, match=r"ReferenceError|AttributeError"):
            box.eval("host.db.get('k')")
        assert store == {"k": 1}
    rows = [
        entry.data
        for record in read(str(tmp_path / "ledger"))
        for entry in expand(record)
        if entry.kind == "decision"
    ]
    assert [(row["kind"], row["target"], row["because"]) for row in rows] == [
        ("call", "host.db.get", "the host shares it"),
        ("denial", "host.db.get", "its check says no"),
        ("denial", "host.db.get", "it is not shared, or no longer"),
    ]


def test_a_call_from_inside_a_host_function_runs_at_once() -> None:
    with belljar.Sandbox(ledger="none") as box:
        box.run("def double(x): print('in'); return 2 * x")
        seen: list[object] = []

        def ask(x: int) -> object:
            seen.append(box.run(f"double({x})"))
            return box.call("double", x) + 1

        box.share("ask", functions=ask)
        result = box.run("print('a')\ny = host.ask(4)\nprint('b')\ny")
        assert result.value == 9
        assert isinstance(seen[0], belljar.Result)
        assert seen[0].value == 8
        assert seen[0].stdout.endswith(b"in\n")
        assert result.stdout.endswith(b"b\n")


def test_a_thread_of_the_guest_is_answered_while_nobody_waits() -> None:
    with belljar.Sandbox(ledger="none") as box:
        heard = threading.Event()
        box.share("heard", functions=heard.set)
        box.run("import threading\nthreading.Thread(target=host.heard, daemon=True).start()")
        assert heard.wait(LONG)


def test_functions_of_the_guest_are_called_from_here(tmp_path: Path) -> None:
    with belljar.Sandbox(ledger="none") as box:
        function = box.run("def f(x): return x * 3\nf").value
        assert function(5) == 15
        box.close()
        with pytest.raises((ReferenceError, belljar.BelljarError)):
            function(5)


def test_one_run_is_a_guest_of_its_own(tmp_path: Path) -> None:
    result = belljar.run("print(6 * 7); 'v'", ledger="none")
    assert (result.stdout, result.value, result.ended_by) == (b"42\n", "v", "exit")
    with pytest.raises(belljar.GuestError, match="ZeroDivisionError: division by zero"):
        belljar.run("1 / 0", ledger="none", check=True)
    with pytest.raises(PolicyError, match="No such"):
        belljar.run("1", read=[tmp_path / "missing"], ledger="none")
