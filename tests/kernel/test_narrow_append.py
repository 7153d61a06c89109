"""`belljar.guest.narrow` and what the keeper opens for the guest: places that it appends to."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from nets import Echo, run
from test_narrow import CONNECT, ENGINES, HELP, inside
from tiers import Tier

import belljar

ADD = """
def add(path):
    fd = libc.open(path.encode(), 0o2101, 0o644)
    if fd < 0:
        return errno.errorcode[ctypes.get_errno()]
    os.write(fd, b"x")
    os.close(fd)
    return "ok"
def raised(deed):
    try:
        return deed() and None
    except Exception as error:
        return str(error)
"""


@pytest.fixture
def places(tmp_path: Path) -> list[str]:
    made = [tmp_path / "one", tmp_path / "two"]
    for place in made:
        place.mkdir()
    return [str(place) for place in made]


def test_places_to_append_at_are_given_up_in_every_tier(tier: Tier) -> None:
    for name in ("one", "two", "one/inner"):
        (tier.home / name).mkdir()
        tier.own(tier.home / name)
    code = (
        HELP
        + ADD
        + """
import json, sys
one, two, log = sys.argv[1:]
tries = lambda n: [add(one + "/%d" % n), add(two + "/%d" % n), add(log)]
told = [tries(1), raised(lambda: narrow(append=[one + "/inner"])), tries(2)]
told.append(narrow(append=[one])["append"]); told.append(tries(3))
told.append(narrow()["append"]); told.append(tries(4))
told.append(libc.connect(libc.socket(1, 1, 0), b"\\0" * 16, 16))
print(json.dumps(told))
"""
    )
    paths = [str(tier.home / name) for name in ("one", "two", "log")]
    flags = [word for path in paths for word in ("--append", path)]
    ran = run(tier, [*flags, "--extensions", "all"], code, *paths)
    assert ran.status == 0, ran.err
    told = json.loads(ran.out)
    assert told[0] == told[2] == ["ok"] * 3
    assert "a directory is kept whole or not at all" in told[1]
    by = "keeper" if tier.kind == "landlock" else "Landlock, keeper"
    assert told[3] == ["full", by, ""]
    assert told[4] == ["ok", "EACCES", "EACCES"]
    assert told[5] == ["full", "keeper", ""]
    assert told[6] == ["EACCES"] * 3
    assert told[7] == -1
    assert sorted(p.name for p in (tier.home / "one").iterdir()) == ["1", "2", "3", "inner"]
    assert sorted(p.name for p in (tier.home / "two").iterdir()) == ["1", "2"]
    assert (tier.home / "log").read_text() == "xx"


@pytest.mark.parametrize("engine", ENGINES)
def test_addresses_and_places_go_one_after_the_other(places: list[str], engine: str) -> None:
    with Echo() as echo, belljar.Sandbox(
        append=places, connect=f"127.0.0.1:{echo.port}", extensions="all", engine=engine,
        ledger="none",
    ) as box:  # fmt: skip
        inside(box, HELP + CONNECT + ADD + f"A, B = {places!r}")
        tries = f"n += 1\n[connect({echo.port}), add(A + '/%d' % n), add(B + '/%d' % n)]"
        assert inside(box, "n = 0\n" + tries) == ["ok"] * 3
        keep = f"narrow(append=[A], connect='127.0.0.1:{echo.port}')"
        assert list(inside(box, keep)) == ["append"]
        assert inside(box, tries) == ["ok", "ok", "EACCES"]
        assert "connect" in inside(box, "narrow(append=[A])")
        assert inside(box, tries) == ["no socket", "ok", "EACCES"]
        assert "more than the sandbox has" in inside(box, "raised(lambda: narrow(append=[B]))")
        assert inside(box, "narrow()")["append"] == ("full", "keeper", "")
        assert inside(box, tries) == ["no socket", "EACCES", "EACCES"]


def test_what_was_opened_to_append_goes_on_and_is_told(places: list[str]) -> None:
    with belljar.Sandbox(append=places, ledger="none") as box:
        source = f"f = open({places[0]!r} + '/f', 'ab', 0)\nimport belljar.guest\nbelljar.guest."
        assert inside(box, source + "narrow()")["append"][:2] == ("partial", "keeper")
        inside(box, "f.write(b'later'); f.close()")
    assert (Path(places[0]) / "f").read_bytes() == b"later"


def test_a_child_keeps_all_places_to_append_at(places: list[str]) -> None:
    with belljar.Sandbox(append=places, processes=4, extensions="all", ledger="none") as box:
        inside(box, HELP + ADD + f"A, B = {places!r}")
        child = (
            "r, w = os.pipe()\nif not os.fork():\n"
            "    told = raised(lambda: narrow(append=[A]))\n"
            "    narrow(append=[A, B])\n"
            "    os.write(w, (add(A + '/c') + ' ' + told).encode()); os._exit(0)\n"
            "os.wait(); os.read(r, 999).decode()"
        )
        told = inside(box, child)
        assert told.startswith("ok append cannot be narrowed here: the keeper"), told
        assert inside(box, "add(B + '/p')") == "ok"


def test_a_branch_takes_nothing_from_the_others(places: list[str]) -> None:
    message = "struct.pack('=H', 0) + b'belljar keeps\\0' + bytes(54)"
    with socket.create_server(("127.0.0.1", 0)) as server, belljar.Sandbox(
        append=places, connect=f"127.0.0.1:{server.getsockname()[1]}", branches=2,
        extensions="all", ledger="none",
    ) as box:  # fmt: skip
        port = server.getsockname()[1]
        inside(box, HELP + CONNECT + ADD + f"A, B = {places!r}")
        with box.fork() as branch, box.fork() as other:
            assert inside(branch, f"native('connect', -1, {message}, 70)") == "EPERM"
            source = "raised(lambda: narrow(%s))"
            assert "append cannot be narrowed here" in inside(branch, source % "append=[A]")
            rows = inside(branch, "narrow(append=[A, B])")
            assert rows["connect"] == ("full", "seccomp", "")
            assert inside(branch, f"[connect({port}), add(A + '/b')]") == ["no socket", "ok"]
            for one in (box, other):
                assert inside(one, f"[connect({port}), add(B + '/x')]") == ["ok", "ok"]
            # nor the first of them from its branches
            assert "append cannot be narrowed here" in inside(box, source % "append=[A]")
            assert inside(box, "narrow(append=[A, B])")["connect"] == ("full", "seccomp", "")
            assert inside(other, f"connect({port})") == "ok"
