"""What a sink may be called, and what is said of one that is none."""

from __future__ import annotations

import pytest

from belljar.confine.available import check
from belljar.errors import PolicyError, UsageError
from belljar.ledger.sinks.config import parse
from belljar.model import Policy
from belljar.policy import file as policy_file
from belljar.policy import from_flags


@pytest.mark.parametrize(
    ("text", "canonical", "scheme", "host", "port", "path"),
    [
        ("syslog+udp://h", "syslog+udp://h:514", "syslog+udp", "h", 514, ""),
        ("syslog+tcp://[::1]:99", "syslog+tcp://[::1]:99", "syslog+tcp", "::1", 99, ""),
        ("syslog+tls://h?ca=/a%20b", "syslog+tls://h:6514?ca=/a+b", "syslog+tls", "h", 6514, ""),
        ("syslog:///dev/log", "syslog:///dev/log", "syslog", "", 0, "/dev/log"),
        ("journald:", "journald:", "journald", "", 0, "/run/systemd/journal/socket"),
        ("audit:", "audit:", "audit", "", 0, ""),
        ("otlp+http://h", "otlp+http://h:4318", "otlp+http", "h", 4318, ""),
        ("jsonl:/a%3fb", "jsonl:/a%3Fb", "jsonl", "", 0, "/a?b"),
    ],
)
def test_a_sink_is_a_scheme_a_place_and_options(
    text: str, canonical: str, scheme: str, host: str, port: int, path: str
) -> None:
    sink = parse(text)
    assert (sink.text, sink.scheme, sink.host, sink.port) == (canonical, scheme, host, port)
    assert sink.path == path
    assert parse(sink.text) == sink


def test_the_same_sink_in_other_words_is_the_same_and_another_filter_is_another() -> None:
    one = parse("syslog+udp://h?rights=run,read&severity=warning")
    assert parse("syslog+udp://h:514?severity=warning&rights=read,run").id == one.id
    assert parse("syslog+udp://h?severity=error&rights=run,read").id != one.id
    assert parse("jsonl:fd/3", b"1" * 16).id != parse("jsonl:fd/3", b"2" * 16).id


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("syslog", "is no sink; expected one of syslog+udp"),
        ("ftp://h", "is no sink"),
        ("syslog+udp://", "expected syslog+udp://HOST:514"),
        ("syslog+udp://h/path", "expected syslog+udp://HOST:514"),
        ("syslog+udp://h:99999", "Port out of range"),
        ("syslog+tcp://u:secret@h", "no name, password or fragment belongs"),
        ("syslog+udp://h?ca=/x", "no option 'ca'"),
        ("syslog+tls://h?ca=x", "ca must be the absolute path"),
        ("syslog+tls://h?key=/x", "key goes with cert"),
        ("syslog+udp://h?severity=loud", "severity is one of emergency"),
        ("syslog+udp://h?rights=fly", "'fly' is not a right"),
        ("syslog+udp://h?size=479", "size is 480 to"),
        ("syslog+udp://h?facility=kern", "facility is one of"),
        ("syslog+udp://h?rights=run&rights=run", "given twice"),
        ("syslog:dev/log", "expected the absolute path"),
        ("jsonl:out", "expected the absolute path"),
        ("jsonl:fd/x", "expected a descriptor"),
        ("journald://h", "takes no host"),
        ("syslog:///dev/log?form=3164", "form is 5424 or bsd"),
        ("syslog+udp://h?form=bsd", "no option 'form'"),
        ("jsonl:/a/../b", "expected the absolute path"),
        ("audit:/x", "takes no path"),
        ("jsonl:/a\n/b", "printable text"),
        ("otlp+http://h?metrics=maybe", "metrics is on, off or only"),
    ],
)
def test_what_is_no_sink_is_told_in_one_line(text: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert told in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_policy_may_give_a_table_with_rights_and_a_severity() -> None:
    text = (
        "schema = 1\n[record]\nsinks = ['journald:', "
        "{to = 'syslog+tcp://h', rights = ['run', 'read'], severity = 'warning', size = 4096}]\n"
    )
    policy = policy_file.parse(text, "policy.toml", "/")
    assert policy.sinks[0] == "journald:"
    assert parse(policy.sinks[1]) == parse(
        "syslog+tcp://h:514?severity=warning&rights=read,run&size=4096"
    )
    check(policy)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("sinks = [{rights = ['run']}]", "a sink's table needs its place"),
        ("sinks = [{to = 'journald:', rights = [[1]]}]", "must be text, a number or a list"),
        ("sinks = [3]", "expected a string"),
        ("sinks = 'journald:'", "expected a list"),
        ("sinks = ['journal']", "is no sink"),
        ("sinks = ['journald:']\nledger = 'none'", "sinks are fed from the record"),
        ("sinks = ['journald:']\nledger = 'unix:/run/x.sock'", "a collector has its own sinks"),
    ],
)
def test_what_is_wrong_in_a_policy_is_told_at_its_place(line: str, told: str) -> None:
    with pytest.raises(PolicyError) as caught:
        check(policy_file.parse(f"schema = 1\n[record]\n{line}\n", "policy.toml", "/"))
    assert caught.value.place == "policy.toml:3"
    assert told in caught.value.message


def test_a_flag_adds_a_sink_commas_and_all() -> None:
    text = "syslog+udp://h:514?rights=run,read"
    assert from_flags(Policy(sinks=("audit:",)), [("--sinks", text)], "/").sinks == ("audit:", text)
