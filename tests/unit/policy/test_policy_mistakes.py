"""Mistakes in policy files: one line that names the file, the line and what was expected."""

from __future__ import annotations

import pytest

from belljar.errors import PolicyError
from belljar.policy.file import parse

WRONG = [
    ("", "p.toml:1: schema is missing: write schema = 1"),
    ("schema = 2", "p.toml:1: schema 2 is unknown; this Belljar reads 1"),
    ("schema = true", "p.toml:1: schema True is unknown; this Belljar reads 1"),
    ("[file]\nread = []", "p.toml:2: unknown section or key 'file'; did you mean files?"),
    ("memory = 1", "p.toml:2: unknown section or key 'memory'; it belongs to [limits]"),
    ("[files]\nraed = []", "p.toml:3: unknown key 'raed' in files; did you mean read?"),
    ("[files]\nmemory = 1", "p.toml:3: unknown key 'memory' in files; it belongs to [limits]"),
    ("files = 3", "p.toml:2: files: expected a table, got 3"),
    ('[files]\nread = [\n "a",\n 7,\n]', "p.toml:5: files.read: expected a string, got 7"),
    (
        '[files]\nread = ""',
        "p.toml:3: files.read: expected a list of strings, or a table such as "
        """{ "/in" = "data/" }, got ''""",
    ),
    (
        '[files]\nread = [""]',
        "p.toml:3: files.read: expected a string that is not empty and has no NUL, got ''",
    ),
    ('[files]\nread = ["-"]', "p.toml:3: files.read: a path cannot be empty or hold NUL"),
    (
        '[files]\nread = ["a\\u0000b"]',
        "p.toml:3: files.read: expected a string that is not empty and has no NUL, got 'a\\x00b'",
    ),
    (
        '[files]\nread = ["/"]',
        "p.toml:3: files.read: / cannot be granted: name what is needed beneath it",
    ),
    (
        '[files]\nread = ["x/../../../"]',
        "p.toml:3: files.read: / cannot be granted: name what is needed beneath it",
    ),
    (
        '[files]\nread = ["/proc/self/root"]',
        "p.toml:3: files.read: /proc/self/root cannot be granted: a guest has no /proc",
    ),
    (
        '[files]\nwrite = ["//dev/"]',
        "p.toml:3: files.write: /dev cannot be granted: name what is needed beneath it",
    ),
    (
        '[files]\nread = ["~/x"]',
        "p.toml:3: files.read: '~/x': ~ is not expanded; write the directory out, or ./~",
    ),
    (
        '[files.read]\n"/in" = "/"',
        "p.toml:3: files.read: / cannot be granted: name what is needed beneath it",
    ),
    (
        '[files.read]\n"in" = "x"',
        "p.toml:3: files.read: the guest's name 'in' must be an absolute path",
    ),
    (
        '[files]\nread = {"/in" = "a"}\nwrite = {"/in" = "b"}',
        "p.toml:4: files.write: /in already stands for /srv/a",
    ),
    (
        '[files]\nnames = "maybe"',
        "p.toml:3: files.names: expected auto, hidden, visible, got 'maybe'",
    ),
    ("[network]\nnet-info = 1", "p.toml:3: network.net-info: expected true or false, got 1"),
    (
        '[network]\nconnect = ["host"]',
        "p.toml:3: network.connect: 'host' has no port: write "
        '"host:443", or "host:*" for every port',
    ),
    ('[modules]\nimport = ["a b"]', "p.toml:3: modules.import: 'a b' is not a name"),
    (
        '[modules]\nbuiltins = ["1x"]',
        "p.toml:3: modules.builtins: '1x' is not the name of a builtin",
    ),
    ('[process]\nrun = [".."]', "p.toml:3: process.run: '..' is not a program"),
    (
        "[process]\nenv = { A = false }",
        "p.toml:3: process.env: expected text, or true to pass the host's, got False",
    ),
    (
        '[process.env]\nA = "x"\n"B=" = "y"',
        "p.toml:4: process.env: 'B=' is not the name of a variable",
    ),
    (
        '[process]\nenv = { BELLJAR_X = "y" }',
        "p.toml:3: process.env: BELLJAR_X is reserved for Belljar",
    ),
    (
        '[process]\ndevices = ["/etc"]',
        "p.toml:3: process.devices: expected a path beneath /dev, got '/etc'",
    ),
    (
        '[limits]\nmemory = "1Q"',
        'p.toml:3: limits.memory: expected a size such as "256M" or "1GiB"',
    ),
    ('[limits]\nmemory = "1M"', "p.toml:3: limits.memory: must be at least 16MiB, got '1M'"),
    ("[limits]\ncpu = nan", "p.toml:3: limits.cpu: a time from 1ms to ten years was expected"),
    ('[limits]\nwall = "soon"', 'p.toml:3: limits.wall: expected a time such as "5s" or "2m"'),
    ("[limits]\nprocesses = 0", "p.toml:3: limits.processes: must be at least 1, got 0"),
    (
        "[limits]\nthreads = true",
        "p.toml:3: limits.threads: expected a whole number up to 1048576, got True",
    ),
    (
        '[record]\nmust-log = ["runs"]',
        "p.toml:3: record.must-log: 'runs' is not a right; rights are "
        "read, write, append, list, execute, connect, bind, resolve, run, import, native, "
        "env, netinfo, "
        "fsinfo, code, signal, process",
    ),
    ("[[rule]]\nthen = 'deny'", "p.toml:2: rule: needs match and then"),
    ("[[rule]]\nmatch = {}\nthen = 'deny'", "p.toml:3: rule.match: expected a table, got {}"),
    (
        "[[rule]]\nmatch = { evnt = 'x' }\nthen = 'deny'",
        "p.toml:3: unknown key 'evnt' in a rule; did you mean event?",
    ),
    (
        "[[rule]]\nmatch = { right = 'reed' }\nthen = 'deny'",
        "p.toml:3: rule.match.right: no right matches 'reed'; did you mean read?",
    ),
    (
        "[[rule]]\nmatch = { event = 'open' }\nthen = 'stop'",
        "p.toml:4: rule.then: expected record, alert, deny, kill, got 'stop'",
    ),
    (
        "[[rule]]\nmatch = { event = 'open' }\nthen = 'denny'",
        "p.toml:4: rule.then: expected record, alert, deny, kill, got 'denny'; did you mean deny?",
    ),
    (
        "[[rule]]\nmatch = { event = 'refund' }\nthen = 'deny'",
        "p.toml:3: rule.match.event: no event matches 'refund'",
    ),
    (
        "[[rule]]\nmatch = { event = 'os.sistem' }\nthen = 'deny'",
        "p.toml:3: rule.match.event: no event matches 'os.sistem'; did you mean os.system?",
    ),
    (
        "[[rule]]\nmatch.event = [\n 'open',\n 'socket.conect',\n]\nthen = 'deny'",
        "p.toml:5: rule.match.event: no event matches 'socket.conect'; "
        "did you mean socket.connect?",
    ),
    (
        "[[rule]]\nmatch = { event = ['open', '!'] }\nthen = 'deny'",
        "p.toml:3: rule.match.event: expected a pattern, got '!'",
    ),
    (
        "[[rule]]\nmatch = { target = [] }\nthen = 'deny'",
        "p.toml:3: rule.match.target: expected 1 to 1000 patterns",
    ),
    (
        "[[rule]]\nmatch = { event = 'os.system', right = 'connect' }\nthen = 'deny'",
        "p.toml:3: rule.match: no event can match all of this",
    ),
    (
        "[[rule]]\nmatch = { shadows = 'randon' }\nthen = 'deny'",
        "p.toml:3: rule.match.shadows: no standard module matches 'randon'; did you mean random?",
    ),
    (
        "[[rule]]\nmatch = { event = 'exec' }\nthen = 'deny'\nafter = { right = 'conect' }",
        "p.toml:5: rule.after.right: no right matches 'conect'; did you mean connect?",
    ),
    (
        "[[rule]]\nmatch = { event = 'exec' }\nthen = 'deny'\nafter = 'connect'",
        "p.toml:5: rule.after: expected a table, got 'connect'",
    ),
    (
        "[[rule]]\nmatch = { event = 'exec' }\nthen = 'deny'\nid = 'A B'",
        "p.toml:5: rule.id: expected small letters, digits and -, got 'A B'",
    ),
    (
        '[[rule]]\nmatch = { event = "exec" }\nthen = "deny"\ntext = "a\\nb"',
        "p.toml:5: rule.text: expected one line of text, got 'a\\nb'",
    ),
    (
        "[[rule]]\nmatch = { event = 'exec' }\nthen = 'deny'\nidd = 'x'",
        "p.toml:5: unknown key 'idd' in a rule; did you mean id?",
    ),
    (
        "[protections.shop]\nrows = { cap = 'x' }",
        "p.toml:3: protections.shop.rows: expected true, "
        "false, { cap = ... }, { members = ... }, { value = ... }, got {'cap': 'x'}",
    ),
    ("[files\n", "p.toml:2: not TOML: Expected ']' at the end of a table declaration"),
    ("a = [1,\n\n", "p.toml:2: not TOML: Invalid value"),
    ('["a\\nb"]', "p.toml:2: unknown section or key 'a\\nb'"),
]


@pytest.mark.parametrize(
    ("text", "message"), WRONG, ids=[m.partition(": ")[2][:50] for _, m in WRONG]
)
def test_a_mistake_is_named_with_its_line(text: str, message: str) -> None:
    whole = text if not text or text.startswith("schema") else f"schema = 1\n{text}"
    with pytest.raises(PolicyError) as caught:
        parse(whole, "p.toml", "/srv")
    assert str(caught.value) == message
