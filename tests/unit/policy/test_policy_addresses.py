"""Addresses of grants: one canonical form, strict syntax, and what they cover."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from belljar.policy.addresses import canonical, canonical_network, covers, parts


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("api.example.com:443", "tcp:api.example.com:443"),
        ("API.Example.com.:443", "tcp:api.example.com:443"),
        ("my_db-1:5432", "tcp:my_db-1:5432"),
        ("localhost:*", "tcp:localhost:*"),
        ("10.0.0.0/8:5432", "tcp:10.0.0.0/8:5432"),
        ("10.0.0.5/32:5432", "tcp:10.0.0.5:5432"),
        ("tcp:127.0.0.1:080", "tcp:127.0.0.1:80"),
        ("udp:[::1]:53", "udp:[::1]:53"),
        ("[0:0::1]:53", "tcp:[::1]:53"),
        ("[fd00::/8]:*", "tcp:[fd00::/8]:*"),
        ("unix:/run//db.sock", "unix:/run/db.sock"),
        ("unix:db.sock", "unix:/srv/db.sock"),
    ],
)
def test_an_address_has_one_form(text: str, form: str) -> None:
    assert canonical(text, "/srv") == form
    assert canonical(form, "/elsewhere") == form


@pytest.mark.parametrize(
    "text",
    ["", "host", ":80", "host:", "host:0", "host:65536", "host:http", "host:-1", "host:٣", "::1:80",
     "[::1]", "[::1:80", "::1]:80", "[127.0.0.1]:80", "10.0.0.1/8:80", "10.0.0/8:80", "1.2.3:80",
     "127.1:80", "256.0.0.1:80", "*.example.com:443", "*:80", "-a.com:80", "a-.com:80", "a..com:80",
     "a b:80", "bücher.de:80", "a" * 64 + ".com:80", "unix:", "unix:@x", "sctp:host:80", "http://h:80",
     "[fe80::1%eth0]:80", "host:80\n"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        canonical(text, "/srv")


def test_a_listener_may_leave_the_port_to_the_kernel() -> None:
    assert canonical("127.0.0.1:0", "/", least_port=0) == "tcp:127.0.0.1:0"


def test_a_network_with_bits_beyond_its_prefix_names_the_right_one() -> None:
    with pytest.raises(ValueError, match=r"write '10\.0\.0\.0/8'"):
        canonical_network("10.0.0.1/8")


@pytest.mark.parametrize(
    ("grant", "asked", "answer"),
    [
        ("tcp:10.0.0.0/8:5432", "10.1.2.3:5432", True),
        ("tcp:10.0.0.0/8:5432", "11.1.2.3:5432", False),
        ("tcp:10.0.0.0/8:5432", "10.1.2.3:5433", False),
        ("tcp:10.0.0.0/8:*", "10.1.2.3:1", True),
        ("tcp:10.0.0.0/8:5432", "10.0.0.0/8:5432", False),
        ("tcp:10.0.0.0/8:5432", "[::ffff:10.1.2.3]:5432", True),
        ("tcp:10.0.0.0/8:5432", "udp:10.1.2.3:5432", False),
        ("udp:[::1]:53", "udp:[::1]:53", True),
        ("udp:[::1]:53", "[::1]:53", True),
        ("tcp:[fd00::/8]:1", "[fd12::1%eth0]:1", True),
        ("tcp:0.0.0.0/0:80", "[::1]:80", False),
        ("tcp:api.example.com:443", "API.example.com.:443", True),
        ("tcp:api.example.com:443", "evil.api.example.com:443", False),
        ("tcp:api.example.com:443", "93.184.216.34:443", False),
        ("unix:/run/db.sock", "unix:/run/db.sock", True),
        ("unix:/run", "unix:/run/db.sock", False),
        ("tcp:host:*", "unix:*", False),
        ("tcp:127.0.0.1:80", "nonsense", False),
    ],
)
def test_a_grant_covers_just_what_it_says(grant: str, asked: str, answer: bool) -> None:
    assert covers(grant, asked) is answer


@given(st.text() | st.text("[]:/.*0129af%tcpudx"))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    parts(text)
    covers(text, text)
    try:
        form = canonical(text, "/srv")
    except ValueError:
        return
    assert canonical(form, "/srv") == form
