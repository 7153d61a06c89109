"""Limits, ports and programs of a process that confines itself; the keys that it cannot have."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

from confining import printed, run


def test_the_wall_clock_ends_a_process_that_ignores_everything() -> None:
    code = (
        "import signal\n"
        "receipt = confine(wall='1s')\n"
        "print(receipt.level('wall'), flush=True)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
        "for timer in range(8):\n"
        "    libc.syscall(226, timer); libc.syscall(111, timer)\n"
        "time.sleep(60); print('lived on')\n"
    )
    done = run(code)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "full\n"), done.stderr


def test_without_a_timer_the_receipt_says_none_and_it_must_be_accepted() -> None:
    code = "print(confine(accept_partial=['wall']).level('wall'))"
    assert printed(code) == "none\n"


def test_processor_time_is_bounded() -> None:
    code = "confine(cpu='1s', wall='60s'); print('began', flush=True)\nwhile True: pass\n"
    done = run(code)
    assert (done.returncode, done.stdout) == (-signal.SIGXCPU, "began\n"), done.stderr


def test_memory_and_descriptors_are_bounded_and_files_cannot_grow(tmp_path: Path) -> None:
    code = (
        "confine(memory='256MiB', open_files=32, disk='1MiB', write=[sys.argv[1]])\n"
        "print(said(bytearray, 400 << 20))\n"
        "kept = []\n"
        "def many():\n"
        "    while True: kept.append(os.open('/dev/null', 0))\n"
        "print(said(many), len(kept) < 32)\n"
        "for fd in kept: os.close(fd)\n"
        "def long():\n"
        "    with open(sys.argv[1] + '/long', 'wb', 0) as file:\n"
        "        while True: file.write(bytes(1 << 20))\n"
        "print(said(long))\n"
    )
    assert printed(code, str(tmp_path)).split() == ["MemoryError", "EMFILE", "True", "EFBIG"]


def test_a_limit_below_what_it_has_already_is_refused() -> None:
    code = "kept = bytearray(64 << 20); print(refusal(confine, memory='32MiB'))"
    assert "cannot protect memory: this process has" in printed(code)


def test_a_granted_port_is_open_at_every_address_and_has_to_be_accepted() -> None:
    with socket.socket() as open_one, socket.socket() as closed:
        for one in (open_one, closed):
            one.bind(("127.0.0.1", 0))
            one.listen()
        ports = [str(one.getsockname()[1]) for one in (open_one, closed)]
        code = (
            "granted, other = map(int, sys.argv[1:])\n"
            "grant = [f'10.1.2.3:{granted}']\n"
            "print(refusal(confine, connect=grant))\n"
            "receipt = confine(connect=grant, accept_partial=['network'])\n"
            "print(receipt.level('network'))\n"
            "def to(port): socket.create_connection(('127.0.0.1', port), timeout=9).close()\n"
            "def udp(): socket.socket(type=socket.SOCK_DGRAM)\n"
            "def local(): socket.socket(socket.AF_UNIX)\n"
            "def listen(): socket.socket().listen()\n"
            "print(said(to, granted), said(to, other), said(udp), said(local), said(listen))\n"
        )
        refused, level, tried = printed(code, *ports).splitlines()
    assert "cannot protect network: only partial here: granted TCP ports are open at" in refused
    assert (level, tried) == ("partial", "done EACCES EACCES EACCES EACCES")


def test_a_granted_port_can_be_listened_at_and_no_other() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = (
        "port = int(sys.argv[1])\n"
        "confine(bind=[f'127.0.0.1:{port}'], accept_partial=['network'])\n"
        "def at(port):\n"
        "    with socket.socket() as one:\n"
        "        one.bind(('127.0.0.1', port)); one.listen()\n"
        "print(said(at, port), said(at, port - 1))\n"
    )
    assert printed(code, str(port)) == "done EACCES\n"


def test_a_port_to_connect_to_is_none_to_listen_at_nor_the_other_way_round() -> None:
    with socket.socket() as to, socket.socket() as at:
        to.bind(("127.0.0.1", 0))
        at.bind(("127.0.0.1", 0))
        at.listen()
        code = (
            "to, at = map(int, sys.argv[1:])\n"
            "confine(connect=[f'10.1.2.3:{to}'], bind=[f'127.0.0.1:{at}'],\n"
            "        accept_partial=['network'])\n"
            "print(said(lambda: socket.socket().bind(('127.0.0.1', to))),\n"
            "      said(lambda: socket.create_connection(('127.0.0.1', at), timeout=9)))\n"
        )
        ports = [str(one.getsockname()[1]) for one in (to, at)]
        assert printed(code, *ports) == "EACCES EACCES\n"


def test_programs_and_processes_have_to_be_accepted_and_are_confined_as_well() -> None:
    code = (
        "grant = {'run': ['cat'], 'processes': 4}\n"
        "print(refusal(confine, **grant))\n"
        "receipt = confine(**grant, accept_partial=['processes', 'wall'])\n"
        "print(receipt.level('processes'))\n"
        "def cat(path): subprocess.run(['/usr/bin/cat', path], check=True, stderr=-3)\n"
        "print(said(cat, '/dev/null'), said(cat, '/etc/passwd'), said(subprocess.run, ['ls']))\n"
        "pid = os.fork()\n"
        "if pid == 0: time.sleep(60)\n"
        "os.kill(pid, 9); print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
        "print(said(os.kill, os.getppid(), 0))\n"
    )
    refused, level, tried, ended, parent = printed(code).splitlines()
    assert "cannot protect processes: only partial here: children are confined" in refused
    assert level == "partial"
    assert tried.split()[:2] == ["done", "CalledProcessError"]
    assert tried.split()[2] in ("EACCES", "ENOENT")
    assert (ended, parent) == ("-9", "EPERM")


CANNOT = [
    ("connect=['udp:10.0.0.1:53']", "datagrams can be sent to any address"),
    ("connect=['unix:/run/x']", "nothing within a process holds it to one Unix socket"),
    ("connect=['10.0.0.1:*']", "Landlock needs a port"),
    ("overlay=['/srv']", "an overlay is a mount of a new process"),
    ("append=['/srv']", "Landlock has no such right"),
    ("read={'/in': '/usr'}", "has the host's names"),
    ("must_log=['run']", "nobody outside answers its events"),
    ("devices=['/dev/fuse']", "open it before"),
    ("stdout='/tmp/x'", "its streams are open"),
    ("names='hidden'", "without a mount namespace, stat() sees what exists"),
    ("read=['/proc']", "a guest has no /proc"),
    ("write=[os.path.dirname(os.__file__)]", "holds Belljar's own files"),
]


def test_what_a_running_process_cannot_be_given_is_refused() -> None:
    code = "".join(f"print(refusal(confine, {grant}))\n" for grant, _ in CANNOT)
    *told, free = printed(code + "print(said(open, '/etc/passwd'))").splitlines()
    for line, (grant, why) in zip(told, CANNOT, strict=True):
        assert line.startswith(("PolicyError: ", "Unenforceable: ")), grant
        assert why in line, grant
    assert free == "done"


def test_a_policy_file_is_taken_with_keywords_on_top(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(
        'schema = 1\n[files]\nread = ["in"]\n[enforce]\naccept-partial = ["output"]\n'
    )
    (tmp_path / "in").mkdir()
    (tmp_path / "more").mkdir()
    code = (
        "more = [sys.argv[1] + '/more']\n"
        "belljar.confine(sys.argv[1] + '/policy.toml', read=more, ledger='none')\n"
        "print(*(said(os.listdir, sys.argv[1] + place) for place in ('/in', '/more', '')))\n"
    )
    assert printed(code, str(tmp_path)) == "done done ENOENT\n"


def test_the_room_is_still_a_package_and_the_name_a_function() -> None:
    code = (
        "import belljar.confine.status, types\n"
        "print(callable(belljar.confine), isinstance(belljar.confine, types.ModuleType))\n"
        "print('confine' in belljar.__all__, belljar.confine.status.NAMES[0])\n"
    )
    assert printed(code) == "True True\nTrue files\n"
