"""Events that distributions declare: found without running their code, and trusted with nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from belljar.events import declared as module
from belljar.events.catalogue import BY_NAME, category
from belljar.events.declaration import Declaration, read
from belljar.events.declared import declared, forget, mismatch, places, register
from belljar.events.targets import resolve

GOOD = """
schema = 1
[event."shop.refund"]
arguments = ["account: str", "cents: int | None"]
target = "account"
right = "write"
note = "money"
"""


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    forget()


def install(site: Path, name: str, text: str | bytes, value: str | None = None) -> None:
    """A distribution that declares events, as an installer leaves it."""
    package = site / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    if isinstance(text, bytes):
        (package / "belljar.toml").write_bytes(text)
    else:
        (package / "belljar.toml").write_text(text)
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    value = value or f"{name}:belljar.toml"
    (info / "entry_points.txt").write_text(
        f"[console_scripts]\nx = evil:main\n\n[belljar.events]\n# a remark = x\n{name} = {value}\n"
    )


def test_a_declaration_is_found_and_its_package_not_imported(tmp_path: Path) -> None:
    install(tmp_path, "shop", GOOD)
    found = declared([str(tmp_path), str(tmp_path), "/nowhere"])
    assert found.problems == ()
    assert found.events == (
        Declaration(
            "shop.refund", (("account", "str"), ("cents", "int|None")),
            "write", "account", "money", "shop 1.0",
        ),
    )  # fmt: skip


def test_a_registered_event_has_right_target_and_category() -> None:
    register(read(GOOD, "shop 1.0"))
    assert resolve("shop.refund", ("/accounts/17", 5), "/w") == (
        ("write", "/accounts/17", "/accounts/17"),
    )
    assert category("shop.refund") == "application"
    assert mismatch("shop.refund", ("a", 5)) == ""
    assert mismatch("shop.refund", ("a", None)) == ""
    assert mismatch("shop.refund", ("a",)) == "1 arguments where 2 are due"
    assert mismatch("shop.refund", ("a", "b")) == "argument 2 is str and not int|None"
    assert mismatch("other.event", ("a", "b")) == ""
    forget()
    assert resolve("shop.refund", ("/accounts/17", 5), "/w") == ((None, None, None),)
    assert category("shop.refund") == "other"


def test_what_is_known_already_is_never_replaced() -> None:
    before = dict(BY_NAME)
    stolen = Declaration("os.system", (), "", "", "", "evil 1")
    register([stolen])
    assert before == BY_NAME
    forget()
    assert before == BY_NAME


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "schema must be 1"),
        ("a" + ".a" * 7000 + " = 1", "a line is longer than 1000"),
        ("a" + ".a" * 30_000 + " = 1", "longer than 16384"),
        ("[" + "'a'." * 9 + "a]", "a key of too many parts"),
        ("schema = true", "schema must be 1"),
        ("schema = 2", "schema must be 1"),
        ("schema = 1\nevents = 1", "unknown key 'events'"),
        ("schema = 1\nevent = 1", "events are tables"),
        ("schema = 1\nevent = {a = 1}", "events are tables"),
        ('schema = 1\n[event."shop"]', "is no name for an event"),
        ('schema = 1\n[event."shop."]', "is no name for an event"),
        ('schema = 1\n[event."shop.a b"]', "is no name for an event"),
        ('schema = 1\n[event."shop.a/b/c"]', "is no name for an event"),
        ('schema = 1\n[event."shöp.a"]', "name is ASCII"),
        (f'schema = 1\n[event."shop.{"a" * 200}"]', "no longer than 120"),
        ('schema = 1\n[event."os.system"]', "are not a library's"),
        ('schema = 1\n[event."os.brand_new"]', "are not a library's"),
        ('schema = 1\n[event."belljar.denied"]', "are not a library's"),
        ('schema = 1\n[event."cpython.run_file"]', "are not a library's"),
        ('schema = 1\n[event."a.b"]\nx = 1', "unknown key 'x'"),
        ('schema = 1\n[event."a.b"]\nright = "rule"', "no right is called 'rule'"),
        ('schema = 1\n[event."a.b"]\nright = 1', "right must be a text"),
        ('schema = 1\n[event."a.b"]\ntarget = "x"', "is none of its arguments"),
        ('schema = 1\n[event."a.b"]\narguments = "x"', "must be at most 32 texts"),
        ('schema = 1\n[event."a.b"]\narguments = [1]', "each name once"),
        ('schema = 1\n[event."a.b"]\narguments = ["x", "x"]', "each name once"),
        ('schema = 1\n[event."a.b"]\narguments = ["x: text"]', "the types of x must be of"),
        (f'schema = 1\n[event."a.b"]\narguments = [{",".join(["1"] * 33)}]', "at most 32"),
        (
            'schema = 1\n[event."a.b"]\narguments = ["x: str"]\nright = "connect"\ntarget = "x"',
            "the target of connect must be tuple",
        ),
        (
            'schema = 1\n[event."a.b"]\narguments = ["x"]\nright = "read"\ntarget = "x"',
            "the target of read must be str or bytes",
        ),
        ("schema = 1\n" + "".join(f'[event."a.b{i}"]\n' for i in range(201)), "more than 200"),
        ("schema = ", "Invalid value"),
        ("x = " + "[\n" * 5000, "nested too deep"),
    ],
)
def test_a_mistake_declares_nothing_and_is_told(tmp_path: Path, text: str, reason: str) -> None:
    install(tmp_path, "shop", text)
    install(tmp_path, "fine", GOOD.replace("shop", "fine"))
    found = declared([str(tmp_path)])
    assert [event.name for event in found.events] == ["fine.refund"]
    assert len(found.problems) == 1
    assert found.problems[0].startswith("shop 1.0: shop:belljar.toml: ")
    assert reason in found.problems[0]


@pytest.mark.parametrize(
    "value",
    [
        "shop", "shop:belljar", "../shop:belljar.toml", "shop:../belljar.toml", "/etc:passwd.toml",
        "shop:.toml", "shop:a/b.toml", ":belljar.toml", "shop:absent.toml", "shop..x:belljar.toml",
        "shop:béll.toml", "shop:belljar.toml\t; rm",
    ],
)  # fmt: skip
def test_an_entry_point_can_name_a_data_file_of_a_package_only(tmp_path: Path, value: str) -> None:
    install(tmp_path, "shop", GOOD, value)
    found = declared([str(tmp_path)])
    assert found.events == ()
    assert len(found.problems) == 1


def test_two_that_declare_one_event_get_neither(tmp_path: Path) -> None:
    install(tmp_path, "shop", GOOD)
    install(tmp_path, "thief", GOOD.replace("account", "victim"))
    found = declared([str(tmp_path)])
    assert found.events == ()
    assert found.problems == ("thief 1.0: shop.refund is declared by shop 1.0, too",)


def test_what_is_no_plain_file_inside_is_not_read(tmp_path: Path) -> None:
    for name in ("pipe", "link", "long", "bytes", "folder"):
        install(tmp_path / "site", name, GOOD.replace("shop", name))
    site = tmp_path / "site"
    for name in ("pipe", "link", "folder"):
        (site / name / "belljar.toml").unlink()
    os.mkfifo(site / "pipe" / "belljar.toml")
    (site / "folder" / "belljar.toml").mkdir()
    (tmp_path / "outside.toml").write_text(GOOD)
    (site / "link" / "belljar.toml").symlink_to("../../outside.toml")
    (site / "long" / "belljar.toml").write_text(GOOD + "#" * (1 << 16))
    (site / "bytes" / "belljar.toml").write_bytes(b"\xff")
    (site / "void-1.dist-info").mkdir()
    os.mkfifo(site / "void-1.dist-info" / "entry_points.txt")
    found = declared([str(site)])
    assert found.events == ()
    assert len(found.problems) == 5


def test_no_more_is_read_than_is_promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        install(tmp_path, f"shop{number}", GOOD.replace("shop", f"shop{number}"))
    monkeypatch.setattr(module, "_MOST_FILES", 2)
    found = declared([str(tmp_path)])
    assert len(found.events) == 2
    assert "more than 2 files" in found.problems[-1]
    monkeypatch.setattr(module, "_MOST_DISTRIBUTIONS", 1)
    assert len(declared([str(tmp_path)]).events) == 1
    monkeypatch.setattr(module, "_MOST_DISTRIBUTIONS", 9)
    monkeypatch.setattr(module, "_MOST_IN_ALL", 1)
    assert len(declared([str(tmp_path)]).events) == 1


def test_the_packages_of_an_interpreter_are_found_without_starting_it(tmp_path: Path) -> None:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() in places(sys.executable)
    assert places(str(tmp_path / "bin" / "python"), "relative:/a") == ["/a"]


@given(st.text() | st.builds("schema = 1\n[event.{}]\narguments = {}".format, st.text(), st.text()))
def test_no_text_does_anything_but_declare_or_be_refused(text: str) -> None:
    try:
        found = read(text, "x 1")
    except ValueError:
        return
    assert all(isinstance(event, Declaration) for event in found)
