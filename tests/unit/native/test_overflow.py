"""When nobody reads: the program waits, ends, or loses events that are counted to the last one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from belljar.watch.attach import environment, settings
from belljar.watch.collect import EVENT, LOSS, Collector
from belljar.watch.findings import Finding

BASE = {"PATH": "/usr/bin:/bin"}


def start(collector, source, mode, *, paged=True, strict=False):
    env = environment(
        BASE,
        collector.path,
        page=collector.page if paged else None,
        settings=collector.settings(settings(mode)),
        strict=strict,
    )
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen([sys.executable, "-I", "-S", "-c", source], env=env, text=True, **pipes)


def take(collector, frames):
    while chunks := collector.drain(idle=True):
        for chunk in chunks:
            at = 0
            while at < len(chunk.data):
                size = int.from_bytes(chunk.data[at + 2 : at + 4], "little")
                frames.append(chunk.data[at : at + size])
                at += size


def number(frame):
    return int.from_bytes(frame[16:24], "little")


FLOOD = (
    "import os, sys\n"
    "for k in range(30000): sys.audit('{name}', k, 'x' * 90)\n"
    "os.write(1, b'flooded\\n')\n"
    "sys.stdin.read(1)\n"
    "for k in range(10): sys.audit('{name}', 'after')\n"
)


@pytest.mark.parametrize("name", ["mark", "socket.fake"], ids=["bulk", "urgent"])
@pytest.mark.parametrize("paged", [True, False], ids=["paged", "unpaged"])
def test_drop_goes_on_and_tells_exactly_what_was_lost(name, paged):
    with Collector() as collector:
        child = start(collector, FLOOD.format(name=name), "drop", paged=paged)
        assert child.stdout is not None
        assert child.stdout.readline() == "flooded\n"  # though nobody reads the record
        frames: list[bytes] = []
        take(collector, frames)
        child.communicate("x", timeout=30)
        take(collector, frames)
        findings = collector.finish()
    assert child.returncode == 0
    events = [number(frame) for frame in frames if frame[4] == EVENT]
    losses = [(number(f), int.from_bytes(f[34:42], "big")) for f in frames if f[4] == LOSS]
    lost = [n for last, count in losses for n in range(last - count + 1, last + 1)]
    assert sorted(events + lost) == list(range(1, len(events) + len(lost) + 1))
    assert 10000 < len(lost) < 30000
    assert events[-1] == max(events + lost)  # what came after is there
    assert findings == [Finding("drops", child.pid, len(lost))]
    assert collector.drops == len(lost)
    assert collector.events == len(events)


def test_what_a_reader_that_comes_and_goes_misses_is_told_each_time():
    source = (
        "import os, sys\n"
        "for _ in range(3):\n"
        "    for k in range(30000): sys.audit('socket.fake', k, 'x' * 90)\n"
        "    os.write(1, b'flooded\\n')\n"
        "    sys.stdin.read(1)\n"
    )
    frames: list[bytes] = []
    with Collector() as collector:
        child = start(collector, source, "drop")
        assert child.stdin is not None
        assert child.stdout is not None
        for _ in range(3):  # the reader comes only when the channel has long been full
            assert child.stdout.readline() == "flooded\n"
            take(collector, frames)
            child.stdin.write("x")
            child.stdin.flush()
        child.communicate()
        take(collector, frames)
        findings = collector.finish()
    seen = 0
    for frame in frames:  # every number is accounted for, in order
        if frame[4] == EVENT:
            seen += 1
        elif frame[4] == LOSS:
            seen += int.from_bytes(frame[34:42], "big")
        assert number(frame) == seen
    losses = [int.from_bytes(f[34:42], "big") for f in frames if f[4] == LOSS]
    assert len(losses) >= 3
    assert findings == [Finding("drops", child.pid, sum(losses))]


@pytest.mark.parametrize("strict", [False, True])
def test_exit_ends_the_program_with_one_line(strict):
    with Collector() as collector:
        child = start(collector, FLOOD.format(name="mark"), "exit", strict=strict)
        out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (125, "")
    assert err == "belljar: the record's channel is full\n"


@pytest.mark.parametrize(("mode", "strict"), [("block", False), ("block", True), ("drop", True)])
def test_block_waits_until_somebody_reads(mode, strict):
    with Collector() as collector:
        child = start(collector, FLOOD.format(name="mark"), mode, strict=strict)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(1.0)
        frames: list[bytes] = []
        assert child.stdin is not None
        child.stdin.write("x")
        child.stdin.flush()
        deadline = time.monotonic() + 30
        while child.poll() is None and time.monotonic() < deadline:
            take(collector, frames)
        child.communicate()
        take(collector, frames)
        assert collector.finish() == []
    assert child.returncode == 0
    events = [number(frame) for frame in frames if frame[4] == EVENT]
    assert events == list(range(1, len(events) + 1))


def test_a_program_that_makes_the_channel_non_blocking_waits_all_the_same():
    source = (
        "import fcntl, os, sys\n"
        "for k in range(30000):\n"
        "    if k % 1000 == 0:\n"
        "        for n in range(3, 1024):\n"
        "            try: fcntl.fcntl(n, fcntl.F_SETFL, os.O_NONBLOCK)\n"
        "            except OSError: pass\n"
        "    sys.audit('mark', k, 'x' * 90)\n"
    )
    with Collector() as collector:
        child = start(collector, source, "block")
        time.sleep(0.5)
        while child.poll() is None:
            collector.drain()
            time.sleep(0.005)
        _, err = child.communicate()
        while collector.drain(idle=True):
            pass
        assert collector.finish() == []
    assert child.returncode == 0, err


GOES = (
    "import os, signal, sys\n{signals}\nos.write(1, b'on\\n')\nsys.stdin.read(1)\n"
    "for k in range(3000): sys.audit('mark', k)\nos.write(1, b'through')\n"
)


DEFAULT = "signal.signal(signal.SIGPIPE, signal.SIG_DFL)"


@pytest.mark.parametrize(
    ("mode", "signals", "ends"),
    [
        ("block", "", True),
        ("exit", "", True),
        ("exit", DEFAULT, True),
        ("drop", "", False),
        ("drop", DEFAULT, False),
    ],
    ids=str,
)
def test_a_collector_that_was_killed(mode, signals, ends):
    with Collector() as collector:
        child = start(collector, GOES.format(signals=signals), mode)
        assert child.stdout is not None
        assert child.stdout.readline() == "on\n"
        kill(collector)
        out, err = child.communicate("x", timeout=30)
    if ends:
        assert (child.returncode, out) == (125, "")
        assert err == "belljar: the record's channel is gone\n"
    else:
        assert (child.returncode, out, err) == (0, "through", "")


def kill(collector):
    """What the kernel does to a collector that ends without a word."""
    os.close(collector._fd)
    os.close(collector._writer)
    collector._fd = collector._writer = -1


@pytest.mark.parametrize("mode", ["block", "exit", "drop"])
@pytest.mark.parametrize("strict", [False, True])
def test_what_outlives_a_record_that_ended_in_order_goes_on(mode, strict):
    with Collector() as collector:
        child = start(collector, GOES.format(signals=""), mode, strict=strict)
        assert child.stdout is not None
        assert child.stdout.readline() == "on\n"
    out, err = child.communicate("x", timeout=30)
    if strict:
        assert (child.returncode, out) == (125, "")
        assert err == "belljar: the record's channel is gone\n"
    else:
        assert (child.returncode, out, err) == (0, "through", "")


def test_a_killed_collectors_channel_that_was_swept_away_still_ends_the_program():
    with Collector() as collector:
        child = start(collector, GOES.format(signals=""), "block")
        assert child.stdout is not None
        assert child.stdout.readline() == "on\n"
        kill(collector)
        os.unlink(collector.path)
        out, _ = child.communicate("x", timeout=30)
    assert (child.returncode, out) == (125, "")


def test_a_program_that_starts_when_its_collector_was_killed_ends_with_125(tmp_path):
    os.mkfifo(tmp_path / "channel")
    for mode, expected in (("block", 125), ("exit", 125), ("drop", 0)):
        (tmp_path / "settings").write_text(settings(mode))
        env = environment(BASE, str(tmp_path / "channel"), settings=str(tmp_path / "settings"))
        done = subprocess.run([sys.executable, "-I", "-S", "-c", "pass"], env=env, timeout=30)
        assert done.returncode == expected, mode


def test_in_drop_an_event_that_asks_and_is_lost_is_refused_at_once():
    source = (
        "import os, sys, time\n"
        "for k in range(30000): sys.audit('mark', k, 'x' * 90)\n"
        "before = time.monotonic()\n"
        "try: sys.audit('ask', 1)\n"
        "except PermissionError: os.write(1, b'%d' % (time.monotonic() - before))\n"
    )
    with Collector() as collector:
        chosen = collector.settings(settings("drop", 30, select=[("ask", "ask")]))
        env = environment(
            BASE, collector.path, page=collector.page, answers=collector.answers, settings=chosen
        )
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", source],
            env=env, capture_output=True, text=True, timeout=25,
        )  # fmt: skip
    assert done.stdout == "0", done.stderr


def test_a_stopped_collector_holds_the_program_and_loses_nothing(tmp_path):
    code = (
        "import sys, time\n"
        "from belljar.watch.collect import Collector\n"
        "with Collector(sys.argv[1]) as c:\n"
        "    print(c.path, c.page, flush=True)\n"
        "    while not (c._ended and c._ended.keys() == c._last.keys()):\n"
        "        c.drain(idle=True); time.sleep(0.001)\n"
        "    print(c.events, c.finish())\n"
    )
    env = {"PYTHONPATH": os.pathsep.join(sys.path)}
    collector = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], env=env, stdout=subprocess.PIPE, text=True
    )
    assert collector.stdout is not None
    path, page = collector.stdout.readline().split()
    collector.send_signal(signal.SIGSTOP)
    source = "import sys\nfor k in range(20000): sys.audit('mark', k, 'x' * 90)\n"
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", source], env=environment(BASE, path, page=page)
    )
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(1.0)
    collector.send_signal(signal.SIGCONT)
    assert child.wait(30) == 0
    told, _ = collector.communicate(timeout=30)
    count, _, findings = told.strip().partition(" ")
    assert int(count) >= 20000
    assert findings == "[]"


@pytest.mark.parametrize("paged", [True, False], ids=["paged", "unpaged"])
@pytest.mark.parametrize("name", ["mark", "socket.fake"], ids=["bulk", "urgent"])
def test_what_was_lost_is_known_though_nobody_read_until_the_end(name, paged):
    source = f"import sys\nfor k in range(20000): sys.audit({name!r}, k, 'x' * 90)\n"
    frames: list[bytes] = []
    with Collector() as collector:
        child = start(collector, source, "drop", paged=paged)
        child.communicate(timeout=30)
        take(collector, frames)
        findings = collector.finish()
    events = [number(frame) for frame in frames if frame[4] == EVENT]
    losses = [(number(f), int.from_bytes(f[34:42], "big")) for f in frames if f[4] == LOSS]
    lost = [n for last, count in losses for n in range(last - count + 1, last + 1)]
    assert sorted(events + lost) == list(range(1, len(events) + len(lost) + 1))
    assert len(events + lost) > 20000
    assert len(lost) > 1000
    assert findings == [Finding("drops", child.pid, len(lost))]
    assert collector.drops == len(lost)
