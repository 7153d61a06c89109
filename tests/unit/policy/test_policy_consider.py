"""Why a grant does not cover a target, for a person."""

from __future__ import annotations

import pytest

from belljar.model import Event, Grant, Policy
from belljar.policy.consider import considered, settings

ANY = Event(1, 0, 1, 1, "open", ())


@pytest.mark.parametrize(
    ("grant", "right", "target", "why"),
    [
        (("read", "/srv"), "write", "/srv/a", "gives read and not write"),
        (("read", "/srv/data"), "read", "/srv/other", "they part at /srv"),
        (("read", "/opt"), "read", "/srv/other", "it lies elsewhere"),
        (("read", "/srv/a/b"), "list", "/srv/a", "something beneath"),
        (("read", "/srv"), "read", "/srv/a", "it covers the path and gives the right"),
        (("connect", "tcp:10.0.0.1:80"), "connect", "10.0.0.1:81", "port 80 and not 81"),
        (("connect", "tcp:10.0.0.0/8:80"), "connect", "11.0.0.1:80", "not in that network"),
        (("connect", "tcp:10.0.0.1:80"), "connect", "10.0.0.2:80", "another host"),
        (("connect", "tcp:10.0.0.1:53"), "connect", "udp:10.0.0.1:53", "but tcp and not udp"),
        (("connect", "tcp:h.example:80"), "resolve", "g.example", "another host"),
        (("run", "/usr/bin/cat"), "run", "/usr/bin/sort", "another program"),
        (("run", "/usr/bin/cat"), "run", "/opt/cat", "same name"),
        (("import", "numpy"), "import", "ctypes", "another distribution"),
    ],
)  # fmt: skip
def test_each_grant_is_told_with_its_reason(
    grant: tuple[str, str], right: str, target: str, why: str
) -> None:
    policy = Policy(grants=(Grant(*grant, "p.toml:3"),))
    rows, count = considered(policy, ANY, right, target)
    assert count == 1
    assert why in rows[0][1]


def test_the_nearest_comes_first_and_the_runtimes_own_only_where_they_lie_around() -> None:
    policy = Policy(
        grants=(
            Grant("read", "/opt", "--read"), Grant("write", "/srv", "--write"),
            Grant("read", "/usr/lib", "runtime"), Grant("list", "/srv", "runtime"),
        )
    )  # fmt: skip
    rows, count = considered(policy, ANY, "read", "/srv/x")
    assert [grant.target for grant, _ in rows] == ["/srv", "/srv", "/opt"]
    assert count == 4


def test_settings_that_bear_on_a_right_are_told() -> None:
    assert [row[0] for row in settings(Policy(), "import")] == ["block", "extensions"]
    assert settings(Policy(), "netinfo") == (("net-info", "False", "default"),)
    assert settings(Policy(), "read") == ()
