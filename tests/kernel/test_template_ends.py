"""Whoever dies, nothing stays: the template, its keeper, a guest's keeper, the host."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from forking import Host, Refused, family, gone, state
from tiers import Tier

WAIT = "print('up', flush=True)\nimport time\nwhile True: time.sleep(60)"


class Scene:
    """A host with a template and two guests of it, by their PIDs."""

    def __init__(self, where: Tier) -> None:
        self.host = Host(where)
        self.keeper = self.host.do("template")
        assert isinstance(self.keeper, int)
        self.init, self.template = family(self.keeper)[1:3]
        self.keepers = []
        for name in ("a", "b"):
            said = self.host.do("guest", name=name, code=WAIT)
            assert isinstance(said, list)
            assert said[0] == "up\n"
            self.keepers.append(said[1])
        self.tree = family(self.keeper)
        self.guests = [pid for pid in self.tree[3:] if not family(pid)[1:]]

    @property
    def all(self) -> list[int]:
        return [*self.tree, *self.keepers]


@pytest.fixture
def scene(where: Tier) -> Iterator[Scene]:
    one = Scene(where)
    yield one
    one.host.close()
    assert gone([*one.all, *family(one.host.process.pid)])


def exits(reports: object) -> list[str]:
    assert isinstance(reports, list)
    return [line[0] for line in reports]


def test_the_scene_is_as_told(scene: Scene) -> None:
    assert len(scene.tree) == 7
    assert len(scene.guests) == 2
    name = Path(f"/proc/{scene.template}/status").read_text()
    assert "NSpid:" in name
    assert name.split("NSpid:")[1].split("\n")[0].split()[-1] == "32700"
    for pid in scene.guests:
        status = Path(f"/proc/{pid}/status").read_text()
        assert status.split("NSpid:")[1].split("\n")[0].split()[-1] == "2"
        assert Path(f"/proc/{pid}/comm").read_text().startswith("python")


@pytest.mark.parametrize("victim", ["template", "init", "keeper"])
def test_the_templates_end_ends_its_guests_and_the_next_call_starts_another(
    scene: Scene, victim: str
) -> None:
    os.kill(getattr(scene, victim), signal.SIGKILL)
    assert gone(scene.tree)
    for name in ("a", "b"):
        assert exits(scene.host.do("reports", name=name)) == ["end"]
        scene.host.do("end", name=name)
    assert gone(scene.keepers)
    again = scene.host.do("template")
    assert again != scene.keeper
    assert scene.host.run("c", "print('again')") == "again\n"


def test_a_keepers_end_ends_its_guest_and_no_other(scene: Scene) -> None:
    os.kill(scene.keepers[0], signal.SIGKILL)
    until = time.monotonic() + 20
    while len(family(scene.keeper)) > 5 and time.monotonic() < until:
        time.sleep(0.01)
    left = family(scene.keeper)
    assert len(left) == 5
    assert state(scene.keepers[1]) not in ("gone", "Z")
    assert exits(scene.host.do("reports", name="a")) == []
    scene.host.do("end", name="a")
    scene.host.do("end", name="b")


def test_a_stopped_guest_and_a_stopped_init_are_ended_as_well(scene: Scene) -> None:
    for pid in family(scene.keeper)[3:]:
        os.kill(pid, signal.SIGSTOP)
    for name in ("a", "b"):
        scene.host.do("end", name=name)
    assert gone(scene.tree[3:])
    assert state(scene.template) not in ("gone", "Z")


def test_the_hosts_end_leaves_nothing(scene: Scene) -> None:
    scene.host.process.kill()
    assert gone(scene.all)


def test_the_end_of_a_guest_is_told_with_what_it_used(scene: Scene) -> None:
    os.kill(scene.guests[0], signal.SIGKILL)
    said = scene.host.do("reports", name="a")
    assert isinstance(said, list)
    assert [line[:2] for line in said] == [["exit", "9"], ["end"]]
    code = "import sys; print('up', flush=True); sys.exit(7)"
    scene.host.run("c", code)
    said = scene.host.do("reports", name="c")
    assert isinstance(said, list)
    assert said[0][:2] == ["exit", str(7 << 8)]
    assert len(said[0][3].split()) == 2


def test_a_keeper_that_dies_while_it_asks_leaves_nothing(scene: Scene) -> None:
    """Again and again at different moments."""
    before = len(family(scene.keeper))
    for number in range(40):
        pids: list[int] = []

        def strike(wait: float = number / 8000, pids: list[int] = pids) -> None:
            until = time.monotonic() + 20
            while time.monotonic() < until:
                found = set(family(scene.host.process.pid)) - set(scene.all)
                if found:
                    pids.extend(found)
                    time.sleep(wait)
                    for pid in found:
                        try:
                            if Path(f"/proc/{pid}/comm").read_text() == "belljar-keeper\n":
                                os.kill(pid, signal.SIGKILL)
                        except OSError:
                            continue
                    return

        thread = threading.Thread(target=strike)
        thread.start()
        scene.host.do("guest", name=f"x{number}", code=WAIT)
        thread.join()
        scene.host.do("end", name=f"x{number}")
    until = time.monotonic() + 20
    while len(family(scene.keeper)) > before and time.monotonic() < until:
        time.sleep(0.01)
    assert len(family(scene.keeper)) == before
    assert scene.host.run("y", "print('fine')") == "fine\n"


def test_a_fork_of_the_host_starts_a_template_of_its_own(where: Tier) -> None:
    host = Host(where)
    try:
        first = host.do("template")
        second = host.do("in_a_fork")
        assert isinstance(second, list)
        assert second[0] != first
        assert second[1] == "forked\n"
        assert host.run("a", "print('still')") == "still\n"
        assert host.do("template") == first
    finally:
        host.close()


def test_without_namespaces_there_is_no_template(kernel_base: Path) -> None:
    host = Host(Tier("landlock", kernel_base))
    try:
        with pytest.raises(Refused, match="no namespaces here") as caught:
            host.do("template")
        assert caught.value.args[0] == "Unenforceable"
        assert "cold engine" in caught.value.args[1]
    finally:
        host.close()
