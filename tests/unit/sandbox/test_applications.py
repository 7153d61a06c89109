"""What a policy's rules may know of the events that libraries raise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from belljar.errors import PolicyError
from belljar.events.catalogue import lookup
from belljar.events.declared import forget
from belljar.model import Policy, Rule
from belljar.sandbox.applications import know

GOOD = 'schema = 1\n[event."shop.refund"]\narguments = ["account: str"]\ntarget = "account"\n'
BY_TARGET = Rule("shop.refund", ("*", "!customers/*"), then="deny", origin="p.toml:3")


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    forget()


def site(folder: Path, text: str) -> list[str]:
    (folder / "shop").mkdir()
    (folder / "shop" / "belljar.toml").write_text(text)
    info = folder / "shop-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[belljar.events]\nshop = shop:belljar.toml\n")
    return [str(folder)]


def test_rules_know_what_the_guests_packages_declare(tmp_path: Path) -> None:
    know(Policy(rules=(BY_TARGET,)), site(tmp_path, GOOD))
    row = lookup("shop.refund")
    assert row is not None
    assert row[3] == 0


def test_without_rules_nothing_is_read(tmp_path: Path) -> None:
    know(Policy(), site(tmp_path, GOOD))
    assert lookup("shop.refund") is None


def test_a_rule_that_could_never_refuse_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"p\.toml:3: shop\.refund is not declared; shop 1\.0: "):
        know(Policy(rules=(BY_TARGET,)), site(tmp_path, "schema = 2"))


@pytest.mark.parametrize(
    "rule",
    [
        Rule("shop.refund", then="deny"),
        Rule("shop.refund", ("x",), then="alert"),
        Rule("open", ("/etc/*",), then="deny"),
        Rule("*", ("/etc/*",), then="kill"),
    ],
)
def test_a_rule_that_needs_no_declaration_is_not_hindered_by_a_bad_one(
    tmp_path: Path, rule: Rule
) -> None:
    know(Policy(rules=(rule,)), site(tmp_path, "schema = 2"))
