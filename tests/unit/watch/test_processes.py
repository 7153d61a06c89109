"""Each process has its record, from its first word to how it ended."""

from __future__ import annotations

from types import SimpleNamespace

from belljar.watch.findings import Finding
from belljar.watch.processes import Processes


def hello(pid, ppid=1, *, argv=("python", "job.py"), forked=False, start=5, time=100):
    return SimpleNamespace(
        header=SimpleNamespace(pid=pid, time=time), ppid=ppid, argv=argv, python="3.11.7",
        executable="/usr/bin/python3", cwd="/w", uid=1000, start=start, forked=forked,
    )  # fmt: skip


def test_a_process_is_what_its_hello_says():
    processes = Processes()
    one = processes.hello(hello(7, 3))
    processes.event(7, 41, 150)
    processes.bye(7, 42, 200)
    assert (one.pid, one.ppid, one.argv, one.python) == (7, 3, ("python", "job.py"), "3.11.7")
    assert (one.executable, one.cwd, one.uid, one.start) == ("/usr/bin/python3", "/w", 1000, 5)
    assert (one.began, one.ended, one.events, one.how) == (100, 200, 42, "bye")


def test_an_exec_ends_one_program_and_begins_the_next_in_the_same_process():
    processes = Processes()
    first = processes.hello(hello(7, 3))
    processes.bye(7, 4, 110)
    second = processes.hello(hello(7, 3, argv=("python", "other.py"), time=120))
    assert first.how == "exec"
    assert [depth for depth, _ in processes.tree()] == [0, 1]
    assert processes.tree()[1][1] is second


def test_a_number_that_comes_again_is_another_process():
    processes = Processes()
    first = processes.hello(hello(7, 3, start=5))
    processes.bye(7, 4, 110)
    processes.hello(hello(7, 3, start=9, time=120))
    assert first.how == "bye"


def test_an_event_behind_a_farewell_means_that_the_exec_failed():
    processes = Processes()
    one = processes.hello(hello(7))
    processes.bye(7, 4, 110)
    processes.event(7, 5, 115)
    assert one.how == ""


def test_what_was_found_says_how_the_others_ended():
    processes = Processes()
    for pid in (7, 8, 9):
        processes.hello(hello(pid))
    processes.settle([Finding("vanished", 7), Finding("running", 8), Finding("gap", 9)])
    assert [p.how for p in processes.all] == ["vanished", "running", ""]


def test_a_process_that_is_replaced_without_a_farewell_vanished():
    processes = Processes()
    one = processes.hello(hello(7))
    processes.hello(hello(7))
    assert one.how == "vanished"


def test_children_stand_below_their_parents_in_the_order_of_their_start():
    processes = Processes()
    for pid, ppid in ((7, 1), (8, 7), (9, 7), (10, 8), (11, 99)):
        processes.hello(hello(pid, ppid))
    assert [(d, p.pid) for d, p in processes.tree()] == [
        (0, 7), (1, 8), (2, 10), (1, 9), (0, 11),
    ]  # fmt: skip


def test_processes_that_claim_to_be_each_others_parents_are_still_a_tree():
    processes = Processes()
    for pid, ppid in ((7, 8), (8, 7), (7, 8), (7, 7)):
        processes.hello(hello(pid, ppid))
    assert len(processes.tree()) == 4


def test_memory_is_bounded_and_all_are_counted():
    processes = Processes()
    for pid in range(5000):
        processes.hello(hello(pid, pid - 1))
    assert (len(processes.all), processes.seen) == (4096, 5000)
    assert len(processes.tree()) == 4096
