"""What the recorder is asked for: read once, understood wholly or not at all."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from belljar.watch.attach import environment, settings

MARKS = "import sys\nfor name in ('mark', 'a.b', 'a.c', 'a'): sys.audit(name, name)\n"


def names(found):
    return [e.name for e in found.events if e.name in ("mark", "a.b", "a.c", "a")]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", ["mark", "a.b", "a.c", "a"]),
        ("skip\ta.*\n", ["mark", "a"]),
        ("keep\ta.c\nskip\ta*\n", ["mark", "a.c"]),
        ("skip\ta*\nkeep\ta.c\n", ["mark"]),
        ("skip\t*.*\n", ["mark", "a"]),
        ("skip\t*a\nskip\tm*r*k\n", ["a.b", "a.c"]),
        ("skip\t**b\nskip\ta.c*\nskip\tark\n", ["mark", "a"]),
        ("keep\tmark\nskip\t*\n", ["mark"]),
        ("".join(f"skip\tno{n}*x*\n" for n in range(4000)) + "skip\ta\n", ["mark", "a.b", "a.c"]),
    ],
    ids=range(9),
)
def test_the_first_pattern_that_matches_decides(run_code, text, kept):
    found = run_code(MARKS, settings=text)
    assert found.status == 0, found.err
    assert names(found) == kept
    assert found.findings == []  # what is skipped has no number


@pytest.mark.parametrize(
    "text",
    [
        "skip",
        "skip\ta",
        "skip\n",
        "skip\t\n",
        "skip\ta\tb\n",
        "skip a\n",
        "Skip\ta\n",
        "deny\ta\n",
        "\n",
        "\ta\n",
        "skip\ta\0b\n",
        "skip\t\x07\n",
        "skip\t" + "a" * 129 + "\n",
        "".join("skip\ta\n" for _ in range(4097)),
        "overflow\tlater\n",
        "overflow\tblock\noverflow\tblock\n",
        "deadline\t0\n",
        "deadline\t-1\n",
        "deadline\t86400001\n",
        "deadline\t99999999999999999999999\n",
        "deadline\t05\n",
        "deadline\t5s\n",
        "stacks\t33\n",
        "locals\t2\n",
        "resolve\t\n",
        "keep\ta\n" * 40000,
    ],
    ids=range(26),
)
def test_malformed_settings_stop_the_start(run_code, text):
    found = run_code("print('ran')", settings=text)
    assert (found.status, found.out) == (125, "")
    assert found.err == "belljar: the recorder's settings are malformed\n"


def test_what_attach_writes_is_understood(run_code):
    text = settings("exit", 0.25, 32, True, [("keep", "mark"), ("skip", "a*")], resolve=True)
    found = run_code(MARKS, settings=text)
    assert found.status == 0, found.err
    assert names(found) == ["mark"]


@pytest.mark.parametrize("place", ["missing", "directory", "pipe"])
def test_settings_that_cannot_be_read_stop_the_start(run_code, tmp_path, place):
    path = tmp_path / place
    if place == "directory":
        path.mkdir()
    if place == "pipe":
        os.mkfifo(path)
    found = run_code(
        "import os, subprocess, sys\n"
        f"os.environ['BELLJAR_SETTINGS'] = {str(path)!r}\n"
        "r = subprocess.run([sys.executable, '-c', 'print(1)'], capture_output=True, text=True)\n"
        "print(r.returncode, repr(r.stdout), r.stderr)\n",
        settings="",
    )
    # The recorder puts back what itself was given: a program cannot choose other settings.
    assert found.out == "0 '1\\n' \n", found.err
    env = environment({}, str(tmp_path / "nobody"), settings=str(path))
    argv = [sys.executable, "-I", "-S", "-c", "print(1)"]
    alone = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert (alone.returncode, alone.stdout) == (0, "1\n")  # nobody listens, nothing to set


def test_unreadable_settings_stop_a_start_that_is_recorded(record, tmp_path):
    found = record(
        ["/bin/sh", "-c", f'BELLJAR_SETTINGS={tmp_path}/no exec "$0" -I -c 1', sys.executable]
    )
    assert (found.status, found.err) == (125, "belljar: the recorder's settings cannot be read\n")


def test_names_beyond_the_memo_are_decided_the_same(run_code):
    found = run_code(
        "import sys\n"
        "for n in range(5000): sys.audit(f'many.{n}', n)\n"
        "for n in range(5000): sys.audit(f'few.{n}', n)\n"
        "sys.audit('x' * 63), sys.audit('x' * 64), sys.audit('x' * 500 + 'y')\n",
        settings="skip\tmany.*\nskip\t*y\n",
    )
    assert found.status == 0, found.err
    assert not [e for e in found.events if e.name.startswith("many.")]
    assert [e.args[0] for e in found.events if e.name.startswith("few.")] == list(range(5000))
    assert [len(e.name) for e in found.events if e.name.startswith("x")] == [63, 64]
    assert found.findings == []


def test_threads_agree_on_names_that_are_new_to_all_of_them(run_code):
    found = run_code(
        "import sys, threading\n"
        "sys.setswitchinterval(1e-6)\n"
        "start = threading.Barrier(6)\n"
        "def work():\n"
        "    start.wait()\n"
        "    for n in range(300):\n"
        "        for kind in ('keep', 'drop'): sys.audit(f'{kind}.{n}')\n"
        "threads = [threading.Thread(target=work) for _ in range(6)]\n"
        "for t in threads: t.start()\n"
        "for t in threads: t.join()\n",
        settings="skip\tdrop.*\n",
    )
    kept = [e.name for e in found.events if e.name.startswith(("keep.", "drop."))]
    assert sorted(kept) == sorted(f"keep.{n}" for n in range(300) for _ in range(6))
    assert found.findings == []


def test_a_shell_that_is_not_recorded_still_passes_the_recorder_on(run_code):
    found = run_code(
        "import os, sys\n"
        "os.environ.clear()\n"
        "code = 'import sys; sys.audit(chr(109) + chr(97) + chr(114) + chr(107), 7)'\n"
        "os.system(f\"'{sys.executable}' -I -S -c '{code}'\")\n",
        settings="skip\tos.*\n",
    )
    assert found.marks() == [7]
    assert found.named("os.system") == []


def test_the_window_sees_what_the_settings_skip(run_code, tmp_path):
    table = tmp_path / "table"
    table.write_text(f"rl\t/usr\nrl\t{sys.base_prefix}\nrl\t{sys.prefix}\nl.\t/\n")
    found = run_code(
        "try: open('/etc/hostname')\nexcept FileNotFoundError: print('refused')\n",
        settings="skip\t*\n",
        window=str(table),
    )
    assert found.out == "refused\n", found.err
    assert [e.refused for e in found.named("open") if e.args[0] == "/etc/hostname"] == [True]
