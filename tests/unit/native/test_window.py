"""The in-guest window refuses what its table does not grant, as the kernel would word it."""

from __future__ import annotations

import sys
from random import Random

import pytest

from belljar.events.decode import CHECK

TRY = """
import os, sys
def attempt(label, act, *args, **kwargs):
    try:
        act(*args, **kwargs)
    except OSError as e:
        names = [n for n in (e.filename, e.filename2) if n is not None]
        print(label, type(e).__name__, e.errno, e.strerror, *map(repr, names))
    else:
        print(label, 'ok')
"""


@pytest.fixture
def box(tmp_path):
    """A directory with a granted part, and the table that grants it."""
    for name in ("in", "out", "secret"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text("x")
    table = tmp_path / "table"
    rows = [
        "rl\t/usr\n",
        f"rl\t{sys.base_prefix}\n",
        f"rl\t{sys.prefix}\n",
        "r\t/dev/null\n",
        "l.\t/\n",
        f"rl\t{tmp_path}/in\n",
        f"rwl\t{tmp_path}/in/deeper\n",
        f"rwl\t{tmp_path}/out\n",
        f"-\t{tmp_path}/out/closed\n",
    ]
    table.write_text("".join(rows))
    return tmp_path


@pytest.fixture
def attempt(box, run_code):
    """Runs lines of `attempt(...)` in the box; its output lines and the recording."""

    def run(*lines):
        source = TRY + f"os.chdir({str(box / 'in')!r})\nbox = {str(box)!r}\n" + "\n".join(lines)
        found = run_code(source, window=str(box / "table"))
        assert found.status == 0, found.err
        return found.out.splitlines(), found

    return run


def test_a_path_without_an_entry_does_not_exist(attempt, box):
    lines, found = attempt(
        "attempt('abs', open, box + '/secret/f')",
        "attempt('none', open, box + '/secret/no-such')",
        "attempt('dots', open, '../secret/f')",
        "attempt('bytes', open, os.fsencode(box) + b'/secret/f')",
        "attempt('list', os.listdir, box + '/secret')",
        "attempt('prefix', open, box + '/input')",
    )
    tail = "FileNotFoundError 2 No such file or directory"
    assert lines == [
        f"abs {tail} '{box}/secret/f'",
        f"none {tail} '{box}/secret/no-such'",
        f"dots {tail} '../secret/f'",
        f"bytes {tail} b'{box}/secret/f'",
        f"list {tail} '{box}/secret'",
        f"prefix {tail} '{box}/input'",
    ]
    refused = [event for event in found.events if event.refused]
    assert [event.name for event in refused] == ["open"] * 4 + ["os.listdir", "open"]
    assert refused[2].target == f"{box}/secret/f"
    assert refused[2].cwd == f"{box}/in"


def test_an_entry_without_the_right_gives_permission_denied(attempt, box):
    lines, _ = attempt(
        "attempt('read', open, 'f')",
        "attempt('write', open, 'f', 'w')",
        "attempt('append', open, 'f', 'a')",
        "attempt('update', open, 'f', 'r+')",
        "attempt('creat', os.open, box + '/in/f', os.O_RDONLY | os.O_CREAT)",
        "attempt('remove', os.remove, 'f')",
        "attempt('mkdir', os.mkdir, 'd')",
        "attempt('rename', os.rename, 'f', box + '/out/g')",
        "attempt('symlink', os.symlink, 'anything', 's')",
        "attempt('closed', open, box + '/out/closed')",
    )
    tail = "PermissionError 13 Permission denied"
    assert lines == [
        "read ok",
        f"write {tail} 'f'",
        f"append {tail} 'f'",
        f"update {tail} 'f'",
        f"creat {tail} '{box}/in/f'",
        f"remove {tail} 'f'",
        f"mkdir {tail} 'd'",
        f"rename {tail} 'f' '{box}/out/g'",
        f"symlink {tail} 'anything' 's'",
        f"closed {tail} '{box}/out/closed'",
    ]


def test_a_granted_right_is_left_alone(attempt):
    lines, _ = attempt(
        "attempt('write', open, box + '/out/new', 'w')",
        "attempt('rename', os.rename, box + '/out/new', box + '/out/newer')",
        "attempt('remove', os.remove, box + '/out/newer')",
        "attempt('list', os.listdir, box + '/out')",
        "attempt('root', os.listdir, '/')",
        "attempt('beneath root', open, '/etc/passwd')",
    )
    assert [line.partition(" ")[2] for line in lines[:5]] == ["ok"] * 5
    assert lines[5].startswith("beneath root FileNotFoundError")


def test_the_longest_entry_decides(attempt, box):
    (box / "in" / "deeper").mkdir()
    lines, _ = attempt(
        "attempt('deeper', open, 'deeper/new', 'w')",
        "attempt('above', open, 'deeper-not/new', 'w')",
    )
    assert lines[0] == "deeper ok"
    assert lines[1].startswith("above PermissionError")


def longest(rows, path):
    """What the table says of a path, told the slow way."""
    for entry in sorted(rows, key=len, reverse=True):
        beneath = entry == "/" or path.startswith(entry + "/")
        if path == entry or (beneath and "." not in rows[entry]):
            return rows[entry]
    return None


def test_the_longest_entry_decides_in_tables_of_any_shape(run_code, tmp_path):
    random = Random(7)
    names = ["a", "b", "ab", "aa", "ba", "abc"]

    def some_path(most):
        return "/q/" + "/".join(random.choices(names, k=random.randint(1, most)))

    always = {"/usr": "rl", sys.base_prefix: "rl", sys.prefix: "rl", "/dev": "rwl"}
    for root in ({}, {"/": "l."}, {"/": "r"}, {"/q": "w"}, {"/q": "r."}):
        rows = {some_path(4): random.choice(["r", "w", "-", "rw.", "r.", "-."]) for _ in range(60)}
        rows |= root | always
        table = tmp_path / "rows"
        table.write_text("".join(f"{rights}\t{path}\n" for path, rights in rows.items()))
        paths = [some_path(6) for _ in range(200)] + ["/", "/q", "/qq", *rows]
        found = run_code(
            "import sys\n"
            f"for path in {paths!r}:\n"
            "    try: sys.audit('open', path, 'r', 0)\n"
            "    except OSError as error: print(error.errno)\n"
            "    else: print(0)\n",
            window=str(table),
        )
        told = [longest(rows, path) for path in paths]
        expected = [2 if t is None else 0 if {"r", "l"} & {*t} else 13 for t in told]
        assert [int(line) for line in found.out.split()] == expected, found.err


def test_what_the_event_does_not_tell_is_left_to_the_walls(attempt, box):
    lines, found = attempt(
        "import io",
        "class Odd:",
        "    def __fspath__(self): return box + '/secret/f'",
        f"where = os.open({str(box / 'in')!r}, os.O_RDONLY | os.O_DIRECTORY)",
        "attempt('dir_fd', os.open, '../secret/f', os.O_RDONLY, dir_fd=where)",
        "attempt('remove', os.remove, '../secret/no', dir_fd=where)",
        "attempt('descriptor', os.listdir, where)",
        "attempt('object', io.FileIO, Odd())",
    )
    assert lines[0] == "dir_fd ok"
    assert lines[1].startswith("remove FileNotFoundError")  # from the kernel
    assert lines[2] == "descriptor ok"
    assert lines[3] == "object ok"
    assert not any(event.refused for event in found.events)


def test_only_events_that_need_a_decision_are_flagged(attempt):
    _, found = attempt(
        "import socket, subprocess",
        "attempt('ok', open, 'f')",
        "attempt('denied', open, '/no/where')",
        "socket.socket().close()",
        "attempt('run', subprocess.run, ['/bin/true'])",
    )
    flagged = [
        event for event, raw in zip(found.events, _events(found.raw), strict=True) if raw[5] & CHECK
    ]
    names = [event.name for event in flagged]
    assert "socket.__new__" in names
    assert "subprocess.Popen" in names
    assert [event.asked for event in flagged if event.name == "open"][-1:] == ["/no/where"]
    assert not any(event.asked == "f" for event in flagged)


def _events(raw):
    return [frame for frame in raw if frame[4] == 2]


def test_without_a_window_nothing_is_flagged(run_code):
    found = run_code("import socket; socket.socket().close(); open('/dev/null').close()")
    assert found.named("socket.__new__")
    assert not any(frame[5] & CHECK for frame in found.raw)


@pytest.mark.parametrize("text", ["r /usr\n", "q\t/usr\n", "r\tusr\n", "r\t/usr", "\0\n"])
def test_a_table_that_cannot_be_understood_refuses_to_start(text, run_code, tmp_path):
    table = tmp_path / "table"
    table.write_text(text)
    found = run_code("print('ran')", window=str(table))
    assert (found.status, found.out) == (125, "")
    assert found.err == "belljar: the window's table cannot be read\n"


def test_a_table_that_is_missing_refuses_to_start(run_code, tmp_path):
    found = run_code("print('ran')", window=str(tmp_path / "none"))
    assert (found.status, found.out) == (125, "")


def test_a_hostile_path_does_not_reach_past_the_buffer(attempt):
    lines, _ = attempt(
        "attempt('long', open, '/' + 'a/' * 2045)",
        "attempt('longer', open, 'a/' * 5000)",
        "attempt('dots', open, '/' + '../' * 1000 + 'usr/no')",
        "attempt('slashes', open, '/' * 4000 + 'usr/no')",
        "attempt('surrogate', open, '/\\udcff\\udc80')",
        "attempt('lone', os.listdir, box.encode() + b'/\\xff')",
    )
    assert [line.split()[:2] for line in lines] == [
        ["long", "FileNotFoundError"],
        ["longer", "OSError"],
        ["dots", "FileNotFoundError"],
        ["slashes", "FileNotFoundError"],
        ["surrogate", "FileNotFoundError"],
        ["lone", "FileNotFoundError"],
    ]
