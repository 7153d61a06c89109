"""The cells of the receipt, tried from inside a running guest in each tier."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiers import Tier

#: protection -> what a guest does to get round it
_TRIES = {
    "files": "read write create delete list chmod rename",
    "names": "stat",
    "network": (
        "tcp udp unix netlink listen packet-socket raw-socket vsock alg-socket mptcp local-datagram"
    ),
    "processes": "fork exec kill",
    "syscalls": (
        "ptrace unshare mount memfd setuid clone-namespace unshare-mounts setns umount "
        "pivot-root open-tree move-mount fsopen mount-setattr chroot pidfd-open pidfd-getfd "
        "pidfd-signal process-read process-write kcmp io-uring bpf perf keyctl add-key "
        "userfaultfd fanotify handle personality seccomp landlock module kexec reboot quota "
        "syslog clock host-name exec-descriptor shared-memory message-queue"
    ),
    "open-files": "descriptors",
    "threads": "threads",
    "extensions": "native",
    "memory": "memory",
}
#: Let through, because they only take away (docs/narrow.md).
NARROWING = {"landlock"}
TRIES = {name: words.split() for name, words in _TRIES.items()}
GUEST = Path(__file__).with_name("trying.py")


@pytest.fixture(scope="module")
def library(kernel_base: Path) -> Path:
    target = kernel_base / "native.so"
    source = kernel_base / "native.c"
    source.write_text("int answer(void) { return 42; }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(target), str(source)], check=True)
    return target


@pytest.fixture
def facts(tier: Tier, library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict]:
    """A piece of the tier's host to reach for; listeners accept nothing and need not."""
    prey = tier.home / "prey"
    prey.mkdir(exist_ok=True)
    tier.own(prey)
    for name in ("secret", "victim", "doomed"):
        (prey / name).write_text("canary\n")
        tier.own(prey / name)
    granted = tier.home / "granted"
    granted.mkdir(exist_ok=True)
    tier.own(granted)
    (granted / "native.so").write_bytes(library.read_bytes())
    unix = str(prey / "socket")
    with (
        socket.socket() as tcp,
        socket.socket(type=socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as local,
    ):
        tcp.bind(("127.0.0.1", 0))
        udp.bind(("127.0.0.1", 0))
        local.bind(unix)
        os.chmod(unix, 0o777)
        tcp.listen()
        local.listen()
        victim = subprocess.Popen(["/bin/sleep", "60"], **tier.identity)
        yield {
            "prey": str(prey),
            "granted": str(granted),
            "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "unix": unix,
            "pid": victim.pid,
        }
        victim.kill()
        victim.wait()
    os.unlink(unix)


def test_every_cell_is_what_the_guest_meets(tier: Tier, facts: dict) -> None:
    script = tier.home / "trying.py"
    script.write_text(GUEST.read_text())
    result = tier.home / "result.json"
    process = tier.start(
        "run",
        "--result",
        str(result),
        "--import",
        "ctypes",
        "--read",
        facts["granted"],
        "--memory",
        "128MiB",
        "--threads",
        "8",
        "--quiet",
        str(script),
        json.dumps(facts),
    )
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err.decode()
    refused = json.loads(out)
    receipt = json.loads(result.read_text())["receipt"]
    assert receipt["tier"] == tier.kind
    assert set(refused) == {name for names in TRIES.values() for name in names}
    for protection, names in TRIES.items():
        level = receipt["protections"][protection]["level"]
        through = [name for name in names if not refused[name] and name not in NARROWING]
        assert bool(through) == (level == "none"), f"{protection} {level}: {through} got through"
    assert (Path(facts["prey"]) / "victim").read_text() == "canary\n"
    assert sorted(os.listdir(facts["prey"])) == ["doomed", "secret", "socket", "victim"]


def may_fail(tier: Tier) -> set[str]:
    """What cannot be done outside either: not all of a tier's kernel calls are for everyone."""
    builds = {
        "kexec",
        "quota",
        "bpf",
        "userfaultfd",
        "vsock",
        "alg-socket",
        "mptcp",
        "perf",
        "module",
    }
    if tier.name == "root":
        return {"mount", "unshare", *builds}
    some = {"mount", "unshare", "setuid", "ptrace", "packet-socket", "raw-socket"}
    return {*some, *builds, *TRIES["syscalls"]} - {"memfd", "pidfd-open", "seccomp", "landlock"}


def test_the_same_tries_succeed_outside(tier: Tier, facts: dict) -> None:
    script = tier.home / "trying.py"
    script.write_text(GUEST.read_text())
    process = subprocess.run(
        [*tier.enter(), tier.python, str(script), json.dumps(facts)],
        capture_output=True,
        env=tier.env,
        timeout=60,
        check=True,
        **tier.identity,
    )
    refused = json.loads(process.stdout)
    # one needs what an ordinary user has not, or what this machine's owner or kernel leaves out
    assert {name: why for name, why in refused.items() if why and name not in may_fail(tier)} == {}


def test_what_is_not_full_does_not_start_when_required(tier: Tier) -> None:
    names = {"root": "memory", "user": "memory", "landlock": "names"}
    process = tier.start("run", "--require", names[tier.kind], "-c", "print('ran')")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (125, b"")
    assert f"cannot protect {names[tier.kind]}:".encode() in err


def test_granted_connections_are_made_on_every_tier(tier: Tier) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(5)
        heard: list[bytes] = []

        def serve() -> None:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                heard.append(peer.recv(10))

        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        code = f"import socket; socket.create_connection(('127.0.0.1', {port})).sendall(b'x')"
        process = tier.start("run", "--connect", f"127.0.0.1:{port}", "-c", code)
        _, err = process.communicate(timeout=30)
        thread.join(10)
    assert (process.returncode, heard) == (0, [b"x"]), err


def test_a_grant_is_read_and_written_as_its_owner(tier: Tier) -> None:
    place = tier.home / "mine"
    place.mkdir(exist_ok=True)
    tier.own(place)
    (place / "private").write_text("owner's\n")
    (place / "private").chmod(0o600)
    tier.own(place / "private")
    code = (
        "import os; print(open('mine/private').read(), end='');"
        " open('mine/new', 'w').write('x'); os.mkdir('mine/folder');"
        " os.rename('mine/new', 'mine/folder/newer')"
    )
    process = tier.start("run", "--read", "mine", "--write", "mine", "-c", code)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, b"owner's\n"), err
    made = (place / "folder/newer").stat()
    assert (made.st_uid, made.st_mode & 0o777) == (place.stat().st_uid, 0o644)
