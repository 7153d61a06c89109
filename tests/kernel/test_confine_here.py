"""`belljar.confine()`: what works before has no effect after, on each tier, from C code too."""

from __future__ import annotations

import json
import os
import platform
import signal
import socket
from pathlib import Path

from confining import printed, run
from test_receipt import GUEST, TRIES, facts, library  # noqa: F401 (fixtures)
from tiers import Tier

#: A process may narrow itself once more; more than a layer of its own it cannot make by that.
NARROWING = {"landlock"}


def test_every_cell_is_what_the_confined_process_meets(
    tier: Tier,
    facts: dict,  # noqa: F811
) -> None:
    code = (
        "facts = json.loads(sys.argv[1])\n"
        "receipt = confine(read=[facts['granted']], memory='256MiB')\n"
        "print(json.dumps({row.name: row.level for row in receipt.protections}))\n"
        f"exec(compile({GUEST.read_text()!r}, 'trying.py', 'exec'))\n"
    )
    levels, refused = map(json.loads, printed(code, json.dumps(facts), tier=tier).splitlines())
    for protection, names in TRIES.items():
        through = {name for name in names if not refused[name]} - NARROWING
        level = levels[protection]
        assert bool(through) == (level == "none"), f"{protection} {level}: {through} got through"
    assert (Path(facts["prey"]) / "victim").read_text() == "canary\n"
    assert sorted(os.listdir(facts["prey"])) == ["doomed", "secret", "socket", "victim"]


ATTACKS = Path(__file__).with_name("trying_here.py").read_text()


def test_attacks_that_work_before_have_no_effect_after(tmp_path: Path) -> None:
    place, away = tmp_path / "place", tmp_path / "away"
    for folder in (place, away):
        folder.mkdir()
    for file in (place / "file", away / "secret", away / "victim"):
        file.write_text("canary\n")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        (place / "port").symlink_to(str(listener.getsockname()[1]))
        free = json.loads(printed(ATTACKS, str(place), str(away)))
        for name in ("new", "dir", "linked"):
            path = place / name
            if path.is_dir():
                path.rmdir()
            elif path.exists():
                path.unlink()
        (away / "linked").unlink()
        (place / "file").chmod(0o644)
        (away / "victim").write_text("canary\n")
        before = {p: (p.lstat().st_mode, p.lstat().st_mtime_ns) for p in away.iterdir()}
        held = json.loads(
            printed(ATTACKS, str(place), str(away), env={**os.environ, "HELD": "1"})
        )  # fmt: skip
    roots = {"plant_a_device"} if os.geteuid() else set()  # nobody else can do it anywhere
    failed = {name for name, how in free.items() if how != "done"}
    assert failed <= roots, "it must work unconfined"
    assert [name for name, how in held.items() if how == "done"] == []
    assert {p: (p.lstat().st_mode, p.lstat().st_mtime_ns) for p in away.iterdir()} == before
    assert (place / "file").stat().st_mode & 0o7777 == 0o644
    assert sorted(os.listdir(place)) == ["file", "port"]


CAPABLE = """
import struct
place = sys.argv[1]
def sets():
    head, data = struct.pack("Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    call("capget", head, data)
    return sum(data.raw)
def state():
    bounding = sum(libc.prctl(23, cap, 0, 0, 0) == 1 for cap in range(41))
    return said(open, place + "/private"), sets() > 0, bounding > 0, libc.prctl(39, 0, 0, 0, 0)
before = state()
confine(read=[place])
print(before, state(), said(os.setuid, 0), said(os.chown, place, 0, 0))
"""


def test_user_0_keeps_no_power_over_what_is_not_its_own(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        return  # an ordinary user has none to lose
    private = tmp_path / "private"
    private.write_text("")
    private.chmod(0o600)
    os.chown(private, 65534, 65534)
    before = "('done', True, True, 0)"
    assert printed(CAPABLE, str(tmp_path)) == f"{before} ('EACCES', False, False, 1) EPERM EACCES\n"


OTHER_CONVENTION = """
import mmap
room = mmap.mmap(-1, 4096, prot=7)
room.write(bytes.fromhex(sys.argv[2]))
entry = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(room)))
if sys.argv[1] == "held":
    confine()
print(entry() > 0, flush=True)
"""


def test_the_system_calls_of_another_convention_end_the_process() -> None:
    if platform.machine() != "x86_64":
        return  # the machine code is its own
    for code in ("b814000000cd80c3", "b8270000400f05c3"):  # getpid by int 0x80, by x32
        held = run(OTHER_CONVENTION, "held", code)
        assert (held.returncode, held.stdout) == (-signal.SIGSYS, ""), held.stderr
    assert printed(OTHER_CONVENTION, "free", "b827000000" + "0f05c3") == "True\n"


def test_what_is_granted_works_and_what_is_imported_is_found(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "x").write_text("read")
    code = (
        "confine(read=[sys.argv[1] + '/in'], write=[sys.argv[1] + '/out'])\n"
        "import decimal, sqlite3, email.message, asyncio, zlib\n"
        "text = open(sys.argv[1] + '/in/x').read()\n"
        "with open(sys.argv[1] + '/out/y', 'w') as file: file.write(text)\n"
        "os.rename(sys.argv[1] + '/out/y', sys.argv[1] + '/out/z')\n"
        "t = threading.Thread(target=lambda: print('thread', flush=True)); t.start(); t.join()\n"
        "print(asyncio.run(asyncio.sleep(0, 'loop')), ctypes.CDLL('libm.so.6').abs(-3))\n"
    )
    assert printed(code, str(tmp_path)) == "thread\nloop 3\n"
    assert (tmp_path / "out/z").read_text() == "read"


def test_a_refusal_says_that_the_process_is_confined(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    code = (
        "confine(read=[sys.argv[1]])\n"
        "for path, mode in ((sys.argv[1] + '/x', 'w'), ('/etc/passwd', 'r'), ('/no/such', 'r')):\n"
        "    try: open(path, mode)\n"
        "    except OSError as error: print(type(error).__name__, *error.__notes__)\n"
    )
    lacks = "belljar: this process is confined, and the grant lacks this right"
    none = "belljar: this process is confined, and no grant covers this path"
    assert printed(code, str(tmp_path)).splitlines() == [
        f"PermissionError {lacks}",
        f"FileNotFoundError {none}",
        f"FileNotFoundError {none}",
    ]


def test_refusals_are_events_of_watching() -> None:
    code = (
        "confine()\n"
        "with belljar.watching(right='read') as events:\n"
        "    said(open, '/etc/passwd'); said(open, '/dev/null')\n"
        "    (lambda: 0).__code__.replace(co_name='made by hand as before')\n"
        "print([(event.target, event.refused) for event in events])\n"
    )
    assert printed(code) == "[('/etc/passwd', True), ('/dev/null', False)]\n"


def test_nothing_is_changed_where_it_is_refused() -> None:
    code = (
        "print(refusal(belljar.confine, ledger='none'))\n"
        "print(refusal(confine, require=['names']))\n"
        "print(refusal(confine, require=['sound']))\n"
        "print(refusal(confine, read=['/no/such/place']))\n"
        "print(refusal(confine, reed=['/']))\n"
        "print(refusal(confine, keep_fds=[99]))\n"
        "print(libc.prctl(39, 0, 0, 0, 0), libc.prctl(21, 0, 0, 0, 0), said(open, '/etc/passwd'))\n"
    )
    first, *rest, state = printed(code).splitlines()
    assert first.startswith("Unenforceable: cannot protect output: only none here")
    assert first.endswith('accept it with accept_partial=["output"]')
    for line, begins in zip(
        rest,
        (
            "Unenforceable: cannot protect names: required",
            "PolicyError: require=: no protection is called 'sound'",
            "PolicyError: read=: read = /no/such/place: No such file",
            "TypeError: reed= is not a key of the policy; did you mean read?",
            "PolicyError: keep_fds: 99 is not open",
        ),
        strict=True,
    ):
        assert line.startswith(begins)
    assert state == "0 0 done"


def test_half_a_confinement_ends_the_process() -> None:
    """The kernel stacks sixteen Landlock layers; the next one fails between two walls."""
    code = "for at in range(20):\n    confine()\n    print(at, flush=True)\n"
    done = run(code)
    assert done.returncode == 125
    assert done.stdout.splitlines()[-1] == "15"
    assert done.stderr.startswith("belljar: confine failed half way, the process ends: landlock:")


def test_a_second_call_narrows_and_never_widens(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text("x")
    code = (
        "a, b = (f'{sys.argv[1]}/{n}' for n in 'ab')\n"
        "confine(read=[a], write=[a], connect=['127.0.0.1:1'], accept_partial=['network'])\n"
        "print(said(open, a + '/x'), said(open, b + '/x'), said(open, a + '/y', 'w'))\n"
        "receipt = confine(read=[a, b])\n"
        "print(receipt.level('network'), receipt.level('files'))\n"
        "print(said(open, a + '/x'), said(os.open, b + '/x', 0), said(os.open, a + '/y', 1),\n"
        "      said(socket.socket))\n"
    )
    assert printed(code, str(tmp_path)).splitlines() == [
        "done ENOENT done",
        "full full",
        "done ENOENT EACCES EACCES",
    ]


def test_a_second_call_is_had_on_every_tier_that_tells_of_threads(tier: Tier) -> None:
    code = (
        "belljar.confine(read=['/etc'], ledger='none', accept_partial='output')\n"
        "print(refusal(confine), said(os.listdir, '/etc'))\n"
    )
    told = printed(code, tier=tier)
    if tier.name == "container":  # its filter refuses the question, so nobody knows
        assert "does not hold the other threads: whatever threads it has" in told
        assert told.endswith(" done\n")
    else:
        assert told == " EACCES\n"


def test_no_descriptor_is_left_behind() -> None:
    code = (
        "before = os.listdir('/proc/self/fd')\n"
        "for again in range(3): refusal(belljar.confine, ledger='none')\n"
        "print(os.listdir('/proc/self/fd') == before, os.listdir('/proc/self/task') ==\n"
        "      [str(os.getpid())], said(os.waitpid, -1, 0))\n"
    )
    assert printed(code) == "True True ECHILD\n"
