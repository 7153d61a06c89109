"""Keywords of the Python API become a policy, or a complaint that names the keyword."""

from __future__ import annotations

from pathlib import Path

import pytest

from belljar.errors import PolicyError
from belljar.model import Grant, Policy
from belljar.policy.keywords import from_keywords


def test_each_kind_of_value_is_what_the_file_would_say() -> None:
    policy = from_keywords(
        Policy(),
        {
            "read": ["a", Path("/b")], "write": "out", "memory": "256M", "open_files": 32,
            "net_info": True, "env": {"TZ": True}, "import_": ("numpy",), "stdin": "null",
        },
        "/srv",
    )  # fmt: skip
    assert policy.grants == (
        Grant("read", "/srv/a", "read=", "/srv/a"),
        Grant("read", "/b", "read=", "/b"),
        Grant("write", "/srv/out", "write=", "/srv/out"),
        Grant("import", "numpy", "import_="),
    )
    assert (policy.limits.memory, policy.limits.open_files) == (256 << 20, 32)
    assert (policy.net_info, policy.env, policy.stdin) == (True, (("TZ", True),), "null")
    assert policy.origin("limits.memory") == "memory="


def test_lists_are_added_to_those_of_the_base() -> None:
    base = from_keywords(Policy(), {"accept_partial": "output"}, "/")
    more = from_keywords(base, {"accept_partial": ["wall"]}, "/")
    assert more.accept_partial == ("output", "wall")
    assert from_keywords(more, {}, "/") is more


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"reed": []}, "reed=: is not a key of the policy; did you mean read?"),
        ({"read": 7}, "read=: expected a list of strings"),
        ({"memory": "much"}, "memory=: expected a size"),
        ({"read": [3]}, "read=: expected a string"),
        ({"net_info": "yes"}, "net_info=: expected true or false"),
    ],
)
def test_a_complaint_names_the_keyword(keywords: dict[str, object], message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        from_keywords(Policy(), keywords, "/")
    assert str(caught.value).startswith(message)
