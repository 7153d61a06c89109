"""What a process did before is kept by its forks, and by itself when it becomes another program."""

from __future__ import annotations

from belljar.model import Event, Rule
from belljar.policy.rules import Rules
from belljar.watch.history import History


def test_an_exec_keeps_the_past_and_a_fork_has_it_too() -> None:
    history = History(Rules([Rule("b", after=Rule("a"), then="deny")]))
    then = Event(2, 0, 7, 7, "b", ())
    history.begins(7, 1, forked=False)
    assert history.look(then)[0] is None
    history.look(Event(1, 0, 7, 7, "a", ()))
    history.begins(7, 1, forked=False)  # os.execv
    history.begins(8, 7, forked=True)
    history.begins(9, 7, forked=False)
    assert history.look(then)[0] is not None
    assert history.look(then.replace(pid=8))[0] is not None
    assert history.look(then.replace(pid=9))[0] is None
