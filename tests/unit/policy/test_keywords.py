"""Keywords of `Policy(...)`: the keys of a policy file, with their checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from belljar.errors import PolicyError
from belljar.model import Grant, Limits, Policy
from belljar.policy import from_flags
from belljar.policy.keywords import base, from_keywords


def test_they_mean_what_the_flags_mean() -> None:
    flags = [("--read", "data"), ("--write", "/in=./out"), ("--memory", "256M"), ("--cpu", "2s"),
             ("--import", "numpy,pandas"), ("--env", "HOME"), ("--env", "A=b"),
             ("--builtins", "safe"), ("--net-info", ""),
             ("--connect", "example.com:443")]  # fmt: skip
    keywords: dict[str, Any] = {
        "read": Path("data"), "write": {"/in": "./out"}, "memory": "256M", "cpu": 2,
        "import_": ("numpy", "pandas"), "env": {"HOME": True, "A": "b"}, "builtins": "safe",
        "net_info": True, "connect": ["example.com:443"],
    }  # fmt: skip
    one, other = from_flags(Policy(), flags, "/srv"), from_keywords(Policy(), keywords, "/srv")

    def plain(policy: Policy) -> Policy:
        grants = tuple(grant.replace(origin="") for grant in policy.grants)
        return policy.replace(grants=grants, given=())

    assert plain(one) == plain(other)
    assert other.origin("limits.memory") == "memory="


def test_lists_add_to_a_policy_and_single_values_replace() -> None:
    base = Policy(read=["/a"], wall=5)
    more = from_keywords(base, {"read": "/b", "wall": 7})
    assert [grant.target for grant in more.grants] == ["/a", "/b"]
    assert more.limits.wall == 7


def test_fields_are_still_fields() -> None:
    grant = Grant("read", "/a", "x")
    assert Policy((grant,)).grants == (grant,)
    assert Policy(limits=Limits(cpu=1.0), block=("a",)).block == ("a",)
    assert Policy(block=["a"]).block == ("a",)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"read": 5}, r"^read=: expected a list of strings"),
        ({"memory": "lots"}, r"^memory=: expected a size"),
        ({"read": ["~/x"]}, r"^read=: .*~ is not expanded"),
        ({"stdin": "a\0b"}, r"^stdin=: "),
        ({"net_info": 1}, r"^net_info=: expected true or false"),
    ],
)
def test_what_a_file_could_not_say_is_refused_at_its_keyword(
    keywords: dict[str, Any], message: str
) -> None:
    with pytest.raises(PolicyError, match=message):
        from_keywords(Policy(), keywords, "/srv")


def test_an_unknown_keyword_is_a_type_error_that_helps() -> None:
    with pytest.raises(TypeError, match=r"memroy= is not a key of the policy; did you mean memory"):
        Policy(memroy="1G")


@pytest.mark.parametrize(
    ("typo", "meant"), [("imports", "import_"), ("openfiles", "open_files"), ("reed", "read")]
)
def test_the_keyword_that_was_meant_is_named_as_it_is_written(typo: str, meant: str) -> None:
    with pytest.raises(TypeError, match=rf"did you mean {meant}\?$"):
        from_keywords(Policy(), {typo: ["x"]})


def test_keywords_are_added_to_a_policy_its_file_or_none(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text("schema = 1\n[limits]\ncpu = '3s'\n")
    given = Policy(cpu=2)
    assert base(given) is given
    assert base(None) == Policy()
    assert base(tmp_path / "p.toml").limits.cpu == base(str(tmp_path / "p.toml")).limits.cpu == 3
    with pytest.raises(PolicyError, match=r"^policy=: expected a Policy or .*, got dict"):
        base({"read": ["/a"]})


def test_a_policy_is_loaded_by_its_class(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text("schema = 1\n[limits]\ncpu = '3s'\n")
    assert Policy.load(tmp_path / "p.toml").limits.cpu == 3
    with pytest.raises(PolicyError):
        Policy.load(tmp_path / "none.toml")


def test_a_program_that_may_run_has_room_for_its_process() -> None:
    assert Policy(run=["true"]).with_programs().limits.processes == 16
    assert Policy(run=["true"], processes=2).with_programs().limits.processes == 2
    assert Policy(read=["/a"]).with_programs().limits.processes == 1
