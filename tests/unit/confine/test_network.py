"""What network grants become: words for the keeper, a hosts file, a grant for each address."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from belljar.confine import network
from belljar.errors import PolicyError
from belljar.model import Grant, Limits, Policy

NAME = Grant("connect", "tcp:db.example.test:5432", "policy.toml:4")


def answers(monkeypatch: pytest.MonkeyPatch, *found: str) -> None:
    rows = [(0, 0, 0, "", (address, 0)) for address in found]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: rows)


def test_a_name_is_pinned_to_all_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "10.0.0.1", "10.0.0.1", "fd00::1", "::ffff:10.0.0.2")
    net = network.plan(Policy(grants=(NAME,)), isolated=True)
    assert net.words == (
        *("connect", "2", "0a000001", "32", "5432"),
        *("connect", "10", "fd" + "0" * 29 + "1", "128", "5432"),
        *("connect", "2", "0a000002", "32", "5432"),
        *("connections", "16"),
    )
    assert net.hosts == (
        "127.0.0.1 localhost\n::1 localhost\n"
        "10.0.0.1 db.example.test\nfd00::1 db.example.test\n10.0.0.2 db.example.test\n"
    )
    assert [(g.target, g.origin) for g in net.implicit] == [
        ("tcp:10.0.0.1:5432", "policy.toml:4"),
        ("tcp:[fd00::1]:5432", "policy.toml:4"),
        ("tcp:10.0.0.2:5432", "policy.toml:4"),
    ]


def test_a_granted_localhost_is_what_the_host_says(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "127.0.0.1")
    grant = Grant("connect", "tcp:localhost:80", "--connect")
    assert network.plan(Policy(grants=(grant,)), isolated=True).hosts == "127.0.0.1 localhost\n"


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ([], "no address"),
        (["0.0.0.0"], "stands for 0.0.0.0"),
        (["169.254.169.254"], "stands for 169.254.169.254"),
        (["ff02::1"], "stands for ff02::1"),
        (["fe80::1%eth0"], "no address"),
    ],
)
def test_an_answer_that_is_no_machine_is_refused(
    monkeypatch: pytest.MonkeyPatch, found: list[str], why: str
) -> None:
    answers(monkeypatch, *found)
    with pytest.raises(PolicyError) as caught:
        network.plan(Policy(grants=(NAME,)), isolated=True)
    assert caught.value.place == "policy.toml:4"
    assert why in caught.value.message


def test_a_name_that_does_not_resolve_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_args: object, **_more: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(PolicyError) as caught:
        network.plan(Policy(grants=(NAME,)), isolated=True)
    assert caught.value.message == (
        "connect = db.example.test: the host cannot resolve it (Name or service not known)"
    )


def test_without_a_hosts_file_names_are_one_line_of_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers(monkeypatch, "10.0.0.1", "fd00::1")
    net = network.plan(Policy(grants=(NAME,)), isolated=False)
    assert network.answers(net.hosts) == (
        "localhost=127.0.0.1,::1;db.example.test=10.0.0.1,fd00::1"
    )
    many = tuple(Grant("connect", f"tcp:{n}-{'x' * 50}.test:1", "--connect") for n in range(64))
    with pytest.raises(PolicyError, match="too many names"):
        network.plan(Policy(grants=many), isolated=False)


def test_datagram_servers_and_those_whom_they_answer() -> None:
    policy = Policy(grants=(Grant("bind", "udp:127.0.0.1:53", "--bind"),))
    net = network.plan(policy, isolated=True)
    assert net.words == (*("serve", "2", "7f000001", "32", "53"), *("connections", "16"))
    assert [g.target for g in net.implicit] == ["udp:127.0.0.0/8:*", "udp:[::1]:*"]
    net = network.plan(policy.replace(accept_from=("10.0.0.0/8",)), isolated=True)
    assert "accept-from" in net.words
    assert [g.target for g in net.implicit] == ["udp:10.0.0.0/8:*"]
    with pytest.raises(PolicyError, match="UDP needs a network namespace"):
        network.plan(policy, isolated=False)


def test_a_path_to_listen_at_is_a_name_in_a_directory(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    path = f"{tmp_path}/link/app.sock"
    net = network.plan(Policy(grants=(Grant("bind", f"unix:{path}", "--bind"),)), isolated=False)
    there = tmp_path.stat()
    real = str(tmp_path.resolve())
    assert net.words[:6] == (
        "local-bind",
        path,
        real,
        "app.sock",
        f"{there.st_dev}",
        f"{there.st_ino}",
    )


def test_ipv4_within_ipv6_is_ipv4() -> None:
    grants = (
        Grant("connect", "tcp:[::ffff:10.0.0.1]:80", "--connect"),
        Grant("connect", "tcp:[::ffff:10.0.0.0/104]:80", "--connect"),
    )
    assert network.plan(Policy(grants=grants), isolated=True).words == (
        *("connect", "2", "0a000001", "32", "80"),
        *("connect", "2", "0a000000", "8", "80"),
        *("connections", "16"),
    )


def test_listeners_peers_and_their_number() -> None:
    policy = Policy(
        grants=(
            Grant("bind", "tcp:0.0.0.0:8080", "--bind"),
            Grant("bind", "tcp:[::1]:*", "--bind"),
            Grant("bind", "tcp:127.0.0.1:0", "--bind"),
        ),
        accept_from=("10.0.0.0/8", "::1"),
        limits=Limits(connections=3),
    )
    assert network.plan(policy, isolated=False).words == (
        *("bind-to", "2", "0" * 8, "32", "8080"),
        *("bind-to", "10", "0" * 31 + "1", "128", "65536"),
        *("bind-to", "2", "7f000001", "32", "0"),
        *("accept-from", "2", "0a000000", "8", "65536"),
        *("accept-from", "10", "0" * 31 + "1", "128", "65536"),
        *("connections", "3"),
    )


def test_datagrams_need_a_namespace_and_a_port() -> None:
    grant = Grant("connect", "udp:10.0.0.1:53", "--connect")
    net = network.plan(Policy(grants=(grant,)), isolated=True)
    assert net.words == ("datagram", "2", "0a000001", "32", "53", "connections", "16")
    assert {g.right for g in net.implicit} == {"bind"}
    with pytest.raises(PolicyError, match="UDP needs a network namespace"):
        network.plan(Policy(grants=(grant,)), isolated=False)
    with pytest.raises(PolicyError, match="UDP needs a port"):
        network.plan(Policy(grants=(grant.replace(target="udp:10.0.0.1:*"),)), isolated=True)
