"""What lies in a runtime image is told by the host's names, with remedies that work."""

from __future__ import annotations

from belljar.model import Decision, Event, Frame
from belljar.sandbox.by_host import advised, by_host, host_path, of_the_image

MAPPED = (
    ("/pythonic", "/own/pythonic"), ("/python/lib/python3.11/site-packages", "/env/site"),
    ("/python/lib/python3.11", "/base/lib/python3.11"), ("/python", "/base"), ("/in", "/data"),
    ("/box", "/work"),
)  # fmt: skip
IMAGE = of_the_image(MAPPED)


def event(right: str, target: str) -> Event:
    frames = (Frame("/python/lib/python3.11/json/__init__.py", 1, "f"), Frame("/box/a.py", 2, "g"))
    return Event(1, 0, 7, 7, "open", (), right, target, stack=frames)


def test_only_the_image_counts_and_the_deepest_place_says_where() -> None:
    assert [guest for guest, _ in IMAGE] == [
        "/python/lib/python3.11/site-packages", "/python/lib/python3.11", "/python"
    ]  # fmt: skip
    assert host_path("/python/lib/python3.11/site-packages/x.py", IMAGE) == "/env/site/x.py"
    assert host_path("/pythonic/x", IMAGE) == "/pythonic/x"


def test_a_denial_tells_the_host_s_target_and_frames() -> None:
    row = (event("read", "/python/bin/x"), Decision("deny", "y"), "read", "/python/bin/x", "denial")
    told, _, right, target, kind = by_host(row, IMAGE)
    assert (right, target, kind) == ("read", "/base/bin/x", "denial")
    assert [f.file for f in told.stack] == ["/base/lib/python3.11/json/__init__.py", "/box/a.py"]


def test_remedies_name_what_can_be_granted() -> None:
    run = Decision("deny", "no grant covers it", None, "--run /python/bin/python3.11")
    made = advised(event("run", "/python/bin/python3.11"), run, IMAGE)
    assert made.remedy == "--run /base/bin/python3.11"
    write = Decision(
        "deny", "granted for read", None, "--write /python/lib/python3.11/site-packages"
    )
    made = advised(event("write", "/python/lib/python3.11/site-packages/x"), write, IMAGE)
    assert (made.remedy, made.because) == ("", "the runtime is read-only in the guest")
    other = Decision("deny", "z", None, "--read /etc/x")
    assert advised(event("read", "/etc/x"), other, IMAGE) == other
