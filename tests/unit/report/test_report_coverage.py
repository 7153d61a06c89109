"""What a cross-check found, on a screen and as JSON."""

from __future__ import annotations

import json

from belljar.model import Frame
from belljar.report.coverage import lines, objects, percentage
from belljar.watch.coverage import Coverage, Row, Unexplained

FOUND = Coverage(
    (Row("open", 1000, 900, 98, 2), Row("exec", 1, 0, 1, 0), Row("bind", 3, 3, 0, 0)),
    (("open", "open", 900), ("bind", "socket.bind", 3)),
    (("open", "programs that are not Python", 98), ("exec", "the command itself", 1)),
    (
        Unexplained("open", "openat", "/a\x1b[31m", 7, 8, 1, 2, "compile", Frame("f.py", 3, "g")),
        Unexplained("exec", "execve", "", 9, 9, 1),
    ),
    (("/bin/\nsh", "open", 98),),
)


def test_every_kind_has_its_row_and_the_unexplained_their_place():
    text = lines(FOUND)
    assert text[0] == "cross-check: 1004 system calls seen by the kernel"
    assert text[2].split() == ["open", "1000", "99.8", "%", "98", "2"]
    assert text[3].split() == ["exec", "1", "-", "1", "0"]
    assert text[4].split() == ["bind", "3", "100", "%", "0", "0"]
    assert "    openat /a\\x1b[31m  (2 times)" in text
    assert "      process 7, thread 8, last seen at f.py:3" in text
    assert "      process 9: no Python was seen before it" in text
    assert "      /bin/\\x0ash: 98 open" in text


def test_as_many_frames_as_asked_for_are_shown():
    frames = (Frame("lib.py", 1, "x\x1b"), Frame("f.py", 3, "g"), Frame("f.py", 9, "<module>"))
    group = FOUND.unexplained[0].replace(frames=frames)
    text = lines(FOUND.replace(unexplained=(group,)), stacks=2)
    at = text.index("      process 7, thread 8, last seen at f.py:3")
    assert text[at + 1 : at + 3] == ["        lib.py:1 in x\\x1b", "        f.py:3 in g"]
    assert not text[at + 3].startswith("      ")
    assert lines(FOUND.replace(unexplained=(group,)))[at + 1] == text[at + 3]


def test_what_is_in_the_record_all_the_same_is_told():
    found = FOUND.replace(
        rows=(Row("open", 5, 3, 0, 2, 1),),
        unexplained=(Unexplained("open", "openat", "/a", 1, 1, 1, recorded="belljar.open"),),
    )
    text = lines(found)
    assert text[1].endswith("unexplained  in the record")
    assert text[2].split() == ["open", "5", "60.0", "%", "0", "2", "1"]
    assert "    openat /a, in the record as belljar.open" in text


def test_nothing_seen_is_nothing_shown():
    assert lines(Coverage((), (), (), (), ())) == []


def test_a_percentage_is_never_rounded_up_to_everything():
    assert percentage(Row("open", 10**6, 10**6 - 1, 0, 1)) == "99.9 %"
    assert percentage(Row("open", 5, 5, 0, 0)) == "100 %"
    assert percentage(Row("open", 5, 0, 5, 0)) == "-"


def test_a_flood_is_cut_and_counted():
    groups = tuple(Unexplained("open", "openat", f"/{n}", 1, 1, 1, 2) for n in range(100))
    text = lines(FOUND.replace(unexplained=groups, more=5))
    assert "    and 155 more" in text


def test_json_has_one_object_for_each_kind_and_group():
    told = [json.loads(json.dumps(one)) for one in objects(FOUND)]
    assert [one["kind"] for one in told] == ["coverage"] * 3 + ["unexplained"] * 2
    assert told[0]["percent"] == 100 * 900 / 902
    assert told[0]["reasons"] == {"open": 900, "programs that are not Python": 98}
    assert told[3]["frame"] == {"file": "f.py", "line": 3, "function": "g"}
    assert told[3]["of"] == "open"
