"""What is made of a guest's frames: misses, denials, alerts, and what is only counted."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from judging import CHECK, HELLO, REFUSED, Bench, Frames

from belljar._native import pack
from belljar.model import Grant, Policy, Rule
from belljar.sandbox.judge import Judge


def one(name: str, *args: object, flags: int = CHECK) -> Bench:
    return Bench().take(Frames().event(name, *args, flags=flags))


@pytest.fixture
def secret(tmp_path: Path) -> str:
    path = tmp_path / "secret"
    path.touch()
    return str(path)


def test_a_hello_greets() -> None:
    bench = Bench()
    assert not bench.judge.greeted
    bench.take(Frames().raw(b"\x90", HELLO, 0))
    assert bench.judge.greeted
    assert (bench.judge.events, bench.judge.malformed) == (1, 0)


def test_no_event_poses_as_a_hello() -> None:
    bench = one("hello", "x")
    assert not bench.judge.greeted


def test_a_denial_is_told_recorded_and_numbered(secret: str) -> None:
    bench = one("open", secret, "r", 0)
    (denial,) = bench.told
    assert bench.judge.denials == [denial]
    assert (denial.right, denial.target, denial.number, denial.kind) == (
        "read", secret, 1, "denial",
    )  # fmt: skip
    (row,) = bench.record.rows
    assert row["verdict"] == "deny"
    assert (row["right"], row["target"], row["remedy"]) == ("read", secret, f"--read {secret}")
    assert row["at"] == ["/box/job.py", 3, "load"]
    assert pack(row)


def test_without_a_record_a_denial_has_no_number(secret: str) -> None:
    judge = Judge(Policy(), None, lambda denial: None)
    frames = Frames().event("open", secret, "r", 0)
    judge.take(frames.data, frames.count, frames.flagged)
    assert [d.number for d in judge.denials] == [None]


def test_what_is_granted_is_no_denial(secret: str) -> None:
    bench = Bench(Policy(grants=(Grant("read", secret, "--read"),)))
    assert bench.take(Frames().event("open", secret, "r", 0)).denied == []
    assert bench.take(Frames().event("open", secret, "w", 0o1101)).denied == [("write", secret)]


def test_what_needs_no_look_is_kept_and_not_decided(secret: str) -> None:
    frames = Frames().event("open", secret, "r", 0, flags=0)
    bench = Bench().take(frames)
    assert (bench.denied, bench.judge.events) == ([], 1)
    assert bench.record.frames == frames.data


def test_a_path_that_the_host_lacks_is_a_miss_and_no_denial(tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    assert one("open", missing, "r", 0).denied == []
    assert one("os.listdir", missing).denied == []
    assert one("open", f"{missing}/deep", "w", 0o1101).denied == []
    assert one("open", f"{tmp_path}/x\0y", "r", 0).denied == []


def test_a_new_file_in_a_directory_that_the_host_has_is_a_denial(tmp_path: Path) -> None:
    target = str(tmp_path / "new")
    assert one("open", target, "w", 0o1101).denied == [("write", target)]


def test_a_dangling_link_of_the_host_is_no_miss(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("nowhere")
    target = str(tmp_path / "dangling")
    assert one("open", target, "r", 0).denied == [("read", target)]


def test_a_mapped_path_is_looked_for_by_its_name_on_the_host(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    bench = Bench(mapped=(("/in", str(tmp_path)),))
    bench.take(Frames().event("open", "/in/there", "r", 0).event("open", "/in/none", "r", 0))
    assert bench.denied == [("read", "/in/there")]


def test_a_file_beside_the_script_is_denied_with_its_name_on_the_host(tmp_path: Path) -> None:
    (tmp_path / "data.csv").touch()
    bench = Bench(mapped=(("/box", str(tmp_path)),))
    bench.take(Frames().event("open", "data.csv", "r", 0))
    assert bench.denied == [("read", "/box/data.csv")]
    assert bench.remedy() == f"--read {tmp_path}/data.csv"


def test_writing_beside_the_script_has_no_remedy(tmp_path: Path) -> None:
    bench = Bench(mapped=(("/box", str(tmp_path)),))
    bench.take(Frames().event("open", "out.txt", "w", 0o1101))
    assert bench.denied == [("write", "/box/out.txt")]
    (denial,) = bench.judge.denials
    assert denial.decision.because == "the program's own directory is read-only in the guest"
    assert denial.decision.remedy == ""


def many(tmp_path: Path, count: int) -> Frames:
    frames = Frames()
    for number in range(count):
        path = tmp_path / f"f{number}"
        path.touch()
        frames.event("open", str(path), "r", 0)
    return frames


def test_the_33rd_refusal_is_judged_only_when_the_guest_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[object] = []
    exists = os.path.lexists

    def lexists(path: str) -> bool:
        looked.append(path)
        return exists(path)

    frames = many(tmp_path, 40)
    monkeypatch.setattr("os.path.lexists", lexists)
    bench = Bench().take(frames)
    assert (len(bench.denied), len(looked)) == (32, 32)
    assert bench.record.frames == frames.data
    bench.judge.finish()
    assert (len(bench.denied), len(bench.told), len(looked)) == (40, 40, 40)
    assert [d.number for d in bench.judge.denials] == list(range(1, 41))


def test_misses_use_up_the_looks_too(tmp_path: Path) -> None:
    frames = Frames()
    for number in range(32):
        frames.event("open", f"{tmp_path}/none{number}", "r", 0)
    (tmp_path / "secret").touch()
    frames.event("open", f"{tmp_path}/secret", "r", 0)
    bench = Bench().take(frames)
    assert bench.denied == []
    bench.judge.finish()
    assert bench.denied == [("read", f"{tmp_path}/secret")]
    bench.judge.finish()
    assert len(bench.told) == 1


def test_a_repeated_event_is_told_once_and_counted(secret: str) -> None:
    frames = Frames()
    for _ in range(5):
        frames.event("open", secret, "r", 0)
    bench = Bench().take(frames)
    assert (len(bench.told), bench.judge.repeated, len(bench.record.rows)) == (1, 4, 1)
    bench.take(Frames().event("open", secret, "r", 0))
    assert (len(bench.told), bench.judge.repeated, bench.judge.events) == (1, 5, 6)


def test_the_same_denial_by_another_event_is_told_once(secret: str) -> None:
    bench = one("open", secret, "r", 0).take(Frames().event("open", secret, "rb", 0))
    assert (len(bench.told), bench.judge.repeated) == (1, 1)


def test_another_line_is_another_denial(secret: str) -> None:
    frames = Frames().event("open", secret, "r", 0).event("open", secret, "r", 0, line=4)
    assert len(Bench().take(frames).told) == 2


def test_what_is_allowed_again_and_again_is_no_repetition(secret: str) -> None:
    bench = Bench(Policy(grants=(Grant("read", secret, "--read"),)))
    bench.take(Frames().event("open", secret, "r", 0).event("open", secret, "r", 0))
    assert bench.judge.repeated == 0


@pytest.mark.parametrize(
    "body",
    [
        b"\xc1", b"\x90", b"\x94\xa4open\xc0\xc0\xc0", pack([1, (), None, None]),
        pack(["open", (), 5, None]), pack(["open", (), None, 5]), b"\xdd\xff\xff\xff\xff",
        pack(["open", (), ("f", "x", "g"), None]), b"\x91" * 4000, b"\xc7\x01\x09\x00",
    ],
)  # fmt: skip
def test_a_malformed_frame_is_counted_kept_and_decides_nothing(body: bytes) -> None:
    frames = Frames().raw(body)
    bench = Bench().take(frames)
    assert (bench.judge.malformed, bench.told) == (1, [])
    assert bench.record.frames == frames.data


def test_no_body_of_chance_raises() -> None:
    dice = random.Random(2)
    frames = Frames()
    for _ in range(500):
        frames.raw(dice.randbytes(dice.randrange(1, 60)))
    whole = pack(["open", ("/etc/passwd", "r", 0), ("f", 1, "g"), "/"])
    for at in range(len(whole)):
        for byte in (0, 0x81, 0xC1, 0xD9, 0xFF):
            frames.raw(whole[:at] + bytes([byte]) + whole[at + 1 :])
    bench = Bench(Policy(rules=(Rule(then="alert"),)))
    bench.take(Frames().event("belljar.begin"))
    bench.take(frames)
    bench.judge.finish()
    assert bench.judge.malformed > 400
    assert pack(bench.record.rows, 8 << 20)


def test_a_refusal_of_the_guard_names_the_module_to_grant() -> None:
    bench = one("belljar.denied", "import", "numpy")
    assert bench.denied == [("import", "numpy")]
    assert bench.remedy() == "--import numpy"


def test_a_write_that_the_window_refused_within_a_grant_is_a_denial(tmp_path: Path) -> None:
    (tmp_path / "Makefile").touch()
    policy = Policy(grants=(Grant("write", str(tmp_path), "--write"),))
    target = f"{tmp_path}/Makefile"
    bench = Bench(policy).take(Frames().event("open", target, "w", 0o1101, flags=CHECK | REFUSED))
    assert (bench.denied, bench.remedy()) == ([("write", target)], f"--write {target}")
    assert Bench(policy).take(Frames().event("open", target, "w", 0o1101)).denied == []


def test_rules_alert_only_after_the_program_has_begun(secret: str) -> None:
    policy = Policy(
        grants=(Grant("read", secret, "--read"),), rules=(Rule(event="open", then="alert"),)
    )
    bench = Bench(policy)
    bench.take(Frames().event("open", secret, "r", 0, flags=0).event("open", secret, "r", 0))
    assert bench.told == []
    bench.take(
        Frames().event("belljar.begin", flags=0).event("open", secret, "r", 0, flags=0, line=9)
    )
    (alert,) = bench.told
    assert (alert.kind, alert.right, alert.target) == ("alert", "read", secret)
    assert (bench.judge.alerts, bench.judge.denials) == ([alert], [])


def test_with_rules_a_hello_before_the_program_greets_all_the_same() -> None:
    bench = Bench(Policy(rules=(Rule(then="alert"),)))
    bench.take(Frames().raw(b"\x90", HELLO, 0))
    assert bench.judge.greeted


def test_a_rule_that_only_records_tells_nobody(secret: str) -> None:
    policy = Policy(grants=(Grant("read", secret, "--read"),), rules=(Rule(then="record"),))
    frames = Frames().event("belljar.begin", flags=0).event("open", secret, "r", 0)
    assert Bench(policy).take(frames).told == []


def test_the_remedy_for_a_missing_file_is_its_directory(tmp_path: Path) -> None:
    assert one("open", f"{tmp_path}/new", "w", 0o1101).remedy() == f"--write {tmp_path}"


@pytest.mark.parametrize(("mode", "flags"), [("w", 0o1101), ("a", 0o2101)])
def test_the_remedy_for_a_file_that_exists_is_the_file(secret: str, mode: str, flags: int) -> None:
    assert one("open", secret, mode, flags).remedy() == f"--write {secret}"


def test_the_directory_of_a_remedy_is_one_word_of_a_shell(tmp_path: Path) -> None:
    (tmp_path / "my data").mkdir()
    bench = one("open", f"{tmp_path}/my data/new", "w", 0o1101)
    assert bench.remedy() == f"--write '{tmp_path}/my data'"


@pytest.mark.parametrize(
    ("event", "args", "right"),
    [
        ("socket.bind", (None, "\0x"), "bind"),
    ],
)
def test_what_no_grant_can_give_has_no_remedy(event: str, args: tuple, right: str) -> None:
    bench = one(event, *args)
    assert [found for found, _ in bench.denied] == [right]
    assert bench.remedy() == ""


@pytest.mark.parametrize(
    ("event", "args", "remedy"),
    [
        ("socket.sendto", (None, ("10.0.0.1", 53)), "--connect udp:10.0.0.1:53"),
        ("socket.connect", (None, "/run/x"), "--connect unix:/run/x"),
        ("socket.bind", (None, "/run/x"), "--bind unix:/run/x"),
        ("socket.bind", (None, ("127.0.0.1", 80)), "--bind 127.0.0.1:80"),
        ("socket.connect", (None, ("example.org", 443)), "--connect example.org:443"),
        ("socket.getaddrinfo", ("example.org", 443, 0, 0, 0), "--connect example.org:443"),
    ],
)
def test_names_and_datagrams_have_a_remedy(event: str, args: tuple, remedy: str) -> None:
    assert one(event, *args).remedy() == remedy


@pytest.mark.parametrize("host", ["10.0.0.1", "::1"])
def test_a_literal_address_has_a_remedy(host: str) -> None:
    shown = f"[{host}]:443" if ":" in host else f"{host}:443"
    bench = one("socket.connect", None, (host, 443))
    assert bench.denied == [("connect", shown)]
    assert bench.remedy().startswith("--connect ")
    assert shown in bench.remedy()


def test_of_a_rename_only_the_end_that_lacks_a_grant_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a").touch()
    bench = Bench(Policy(grants=(Grant("write", f"{tmp_path}/in", "--write"),)))
    bench.take(Frames().event("os.rename", f"{tmp_path}/in/a", f"{tmp_path}/b", -1, -1))
    assert bench.denied == [("write", f"{tmp_path}/b")]
    bench.take(Frames().event("os.rename", f"{tmp_path}/b", f"{tmp_path}/in/a", -1, -1))
    assert bench.denied == [("write", f"{tmp_path}/b")]
    assert bench.judge.repeated == 1


def test_surrogates_of_the_guest_can_be_packed(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff"
    with open(name, "wb"):
        pass
    bench = one("open", name, "r", 0)
    assert bench.denied == [("read", os.fsdecode(name))]
    (row,) = bench.record.rows
    assert row["target"] == f"{tmp_path}/\\udcff"
