"""What a process holds already when it confines itself: told, and refused where nobody named it."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from confining import printed, run

from belljar.ledger.reader import Reader


def test_an_open_descriptor_that_nobody_named_is_refused_with_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    code = (
        "log = open(sys.argv[1] + '/log', 'a')\n"
        "folder = os.open('/etc', os.O_RDONLY)\n"
        "udp = socket.socket(type=socket.SOCK_DGRAM)\n"
        "server = socket.socket(); server.bind(('127.0.0.1', 0)); server.listen()\n"
        "pipe = os.pipe()\n"
        "print(refusal(confine))\n"
        "receipt = confine(keep_fds=[log, folder, udp, server, *pipe])\n"
        "print(next(r.reason for r in receipt.protections if r.name == 'descriptors'))\n"
        "print(receipt.level('descriptors'))\n"
    )
    refused, kept, level = printed(code, str(tmp_path)).splitlines()
    assert refused.startswith("Unenforceable: cannot protect descriptors: only partial here: open")
    for text in (refused, kept):
        for what in (
            f"(file {tmp_path}/log, writing)",
            "(directory /etc, reading)",
            "(IPv4 datagram socket, can send anywhere)",
            "(IPv4 stream socket, listening at 127.0.0.1:",
            "(pipe, reading)",
        ):
            assert what in text
    assert level == "full"


def test_descriptors_can_be_closed_or_accepted_instead(tmp_path: Path) -> None:
    code = (
        "log = os.open(sys.argv[1] + '/log', os.O_CREAT | os.O_WRONLY)\n"
        "kept = os.open(sys.argv[1] + '/kept', os.O_CREAT | os.O_WRONLY)\n"
        "how = {'accept_partial': ['descriptors']} if sys.argv[2] == 'accept' else\\\n"
        "      {'close_fds': True, 'keep_fds': [kept]}\n"
        "receipt = confine(**how)\n"
        "written = said(os.write, log, b'x'), said(os.write, kept, b'y')\n"
        "print(receipt.level('descriptors'), *written)\n"
    )
    assert printed(code, str(tmp_path), "accept") == "partial done done\n"
    assert printed(code, str(tmp_path), "close") == "full EBADF done\n"


def test_what_was_opened_within_the_grants_needs_no_name(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    code = (
        "import select\n"
        "x, poll = open(sys.argv[1] + '/x'), select.epoll()\n"
        "print(confine(read=[sys.argv[1]]).level('descriptors'))\n"
    )
    assert printed(code, str(tmp_path)) == "full\n"


def test_a_ring_of_io_uring_is_never_taken() -> None:
    code = (
        "room = ctypes.create_string_buffer(256)\n"
        "ring = libc.syscall(425, 1, room)\n"
        "print(refusal(confine, keep_fds=[ring]) if ring >= 0 else 'none on this machine')\n"
        "print(said(open, '/etc/passwd'))\n"
    )
    told, free = printed(code).splitlines()
    assert "[io_uring] is open, and the kernel works for it outside" in told or told[:4] == "none"
    assert free == "done"


def test_another_thread_refuses_and_is_named() -> None:
    code = (
        "stop = threading.Event()\n"
        "thread = threading.Thread(target=stop.wait); thread.start()\n"
        "print(refusal(confine)); print(said(open, '/etc/passwd'))\n"
        "stop.set(); thread.join()\n"
        "print(confine().level('existing-threads'))\n"
    )
    refused, free, level = printed(code).splitlines()
    assert refused.startswith("Unenforceable: cannot protect ")
    assert (free, level) == ("done", "full")


def test_an_accepted_thread_is_held_by_seccomp_and_the_receipt_says_that_it_is_all() -> None:
    code = (
        "go, found = threading.Event(), []\n"
        "def other():\n"
        "    go.wait()\n"
        "    found.extend((said(socket.socket), said(os.fork)))\n"
        "thread = threading.Thread(target=other); thread.start()\n"
        "receipt = confine(accept_partial=['existing-threads', 'files'])\n"
        "go.set(); thread.join()\n"
        "print(receipt.level('existing-threads'), receipt.level('files'), *found)\n"
        "print(next(r.reason for r in receipt.protections if r.name == 'existing-threads'))\n"
    )
    levels, why = printed(code).splitlines()
    assert levels.split() == ["partial", "partial", "EACCES", "EPERM"]
    assert why.startswith("Landlock and dropped capabilities are this thread's alone, not those of")


def test_confining_from_a_thread_is_refused_as_well() -> None:
    code = (
        "found = []\n"
        "thread = threading.Thread(target=lambda: found.append(refusal(confine)))\n"
        "thread.start(); thread.join(); print(*found)\n"
    )
    assert (
        "cannot protect files: only partial here: Landlock does not hold the other threads: "
        in printed(code)
    )


def test_shared_memory_children_and_what_it_knows_are_told() -> None:
    code = (
        "import mmap\n"
        "shared = mmap.mmap(-1, 4096)\n"
        "child = subprocess.Popen(['sleep', '60'], stdout=-3, stderr=-3)\n"
        "receipt = confine()\n"
        "for row in receipt.protections:\n"
        "    if row.name in ('shared-maps', 'children', 'inherited', 'terminal'):\n"
        "        print(row.name, row.level, row.reason)\n"
        "print(said(child.kill))\n"
        "print(child.pid, flush=True)\n"
    )
    done = run(code)
    *_, killed, pid = done.stdout.splitlines()
    os.kill(int(pid), 9)
    assert "shared-maps none who shares them sees what is written: /dev/zero" in done.stdout
    assert f"children none not confined, and only cut off from signals: {pid}" in done.stdout
    assert "ctypes is loaded" in done.stdout
    assert "terminal full" in done.stdout
    assert killed == "EPERM"


def test_a_server_confined_after_its_start_accepts_and_answers() -> None:
    code = (
        "server = socket.socket(); server.bind(('127.0.0.1', 0)); server.listen()\n"
        "confine(keep_fds=[server])\n"
        "confine()\n"
        "print(server.getsockname()[1], flush=True)\n"
        "peer, _ = server.accept()\n"
        "peer.sendall(said(open, '/etc/passwd').encode()); peer.close()\n"
        "print(said(socket.socket), said(server.listen))\n"
    )
    import subprocess
    import sys

    from confining import START

    process = subprocess.Popen([sys.executable, "-c", START + code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    port = int(process.stdout.readline())
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        assert client.recv(100) == b"ENOENT"
    assert process.communicate(timeout=30)[0] == b"EACCES EACCES\n"


def test_workers_are_confined_when_they_have_started_and_their_parent_is_not() -> None:
    code = (
        "import multiprocessing\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "def begin(): confine(accept_partial=['descriptors'])\n"
        "def work(path): return said(open, path)\n"
        "context = multiprocessing.get_context('fork')\n"
        "with context.Pool(2, begin) as pool:\n"
        "    print(pool.map(work, ['/etc/passwd'] * 2), flush=True)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    confine(); os._exit(said(open, '/etc/passwd') == 'ENOENT')\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said(open, '/etc/passwd'))\n"
    )
    assert printed(code).splitlines() == ["['ENOENT', 'ENOENT']", "1 done"]


def test_one_entry_is_recorded_and_the_ledger_is_out_of_reach(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    code = (
        "print(confine(read=['/etc/hostname'], ledger=sys.argv[1]).level('record'))\n"
        "print(said(os.listdir, sys.argv[1]))\n"
    )
    environment = {**os.environ, "BELLJAR_CLERK": "none"}
    assert printed(code, str(ledger), env=environment) == "none\nENOENT\n"
    with Reader(str(ledger)) as reader:
        kinds = [record.kind for record in reader.records()]
    assert len(kinds) == 2
    code = "print(refusal(confine, write=[sys.argv[1]], ledger=sys.argv[1] + '/ledger'))"
    assert "holds Belljar's own files" in printed(code, str(tmp_path), env=environment)


def test_a_trial_that_took_too_little_along_is_made_again() -> None:
    code = (
        "from belljar.confine.here import trial\n"
        "plain, asked = trial._lines, []\n"
        "def lines(words, light):\n"
        "    asked.append(light)\n"
        "    return [] if light else plain(words, light)\n"
        "trial._lines = lines\n"
        "print(confine().level('files'), asked)\n"
    )
    assert printed(code) == "full [True, False]\n"


def test_a_trial_that_cannot_begin_is_no_confinement() -> None:
    """Whoever may make no Landlock layer any more, say: this one has sixteen."""
    code = (
        "ruleset = libc.syscall(444, ctypes.byref(ctypes.c_uint64(1 << 6)), 8, 0)\n"
        "libc.prctl(38, 1, 0, 0, 0)\n"
        "assert [libc.syscall(446, ruleset, 0) for _ in range(16)] == [0] * 16\n"
        "os.close(ruleset)\n"
        "print(refusal(confine)); print(said(open, '/etc/passwd'))\n"
    )
    refused, free = printed(code).splitlines()
    assert refused.startswith(
        "Unenforceable: cannot protect syscalls: a copy of this process could"
    )
    assert "landlock: Argument list too long restrict" in refused
    assert free == "done"


def test_a_process_that_is_killed_in_its_trial_leaves_nothing_behind(tmp_path: Path) -> None:
    code = (
        "import belljar._native as native\n"
        "plain = native.confine_try\n"
        "def killed(*words):\n"
        "    plain(*words)\n"
        "    print(*os.listdir(os.environ['TMPDIR']), flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
        "native.confine_try = killed\n"
        "confine()\n"
    )
    done = run(code, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert done.returncode == -9
    assert done.stdout.startswith("belljar-probe-")
    deadline = time.monotonic() + 30
    while os.listdir(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert os.listdir(tmp_path) == []
