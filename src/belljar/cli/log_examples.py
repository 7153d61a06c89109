"""Examples for the help of each command of `belljar log`; a test parses every one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

#: command -> lines without the words `belljar log`
EXAMPLES: Final = {
    "verify": (
        "verify",
        "verify /var/lib/belljar/ledger --write-pin pinned",
        "verify /var/lib/belljar/ledger --pin pinned",
    ),
    "checkpoint": ("checkpoint",),
    "prove": ("prove 412 > proof", "prove --check proof --key fixed.vkey 412"),
    "consistency": ("consistency 100 200 > proof",),
    "collect": ("collect --socket /run/belljar/collect.sock /var/lib/belljar/ledger",),
    "tail": ("tail", "tail -f -n 100", "tail --json | jq .data"),
    "show": ("show 412", "show '#412' /var/lib/belljar/ledger --json"),
    "query": (
        'query "SELECT run, started, command, status, denials FROM runs ORDER BY entry"',
        'query "SELECT name, count(*) AS n FROM events GROUP BY name ORDER BY n DESC LIMIT 10"',
        'query "FROM decisions" --csv > denials.csv',
    ),
    "export": (
        "export --format jsonl > ledger.jsonl",
        "export --format sarif --since 1d -o belljar.sarif",
        "export --format ocsf --kind decision --run 3dd7f756 | curl --data-binary @- URL",
    ),
    "prune": ("prune --before 2026-01-31", "prune --before 2026-01-31T12:00Z --json"),
    "sinks": (
        "sinks",
        "sinks --add 'syslog:///dev/log?form=bsd'",
        "sinks --add 'syslog+tls://logs.example?severity=warning' --from 1",
        "sinks --reset syslog-tls-1f0c9d3e --from 412",
        "sinks --flush 10",
    ),
    "witness": (
        "witness --state seen --new-key witness.example/w1",
        "witness --state seen /var/lib/belljar/ledger",
        "witness --state seen --trust app.vkeys --listen 127.0.0.1:7380",
        "witness --submit https://witness.example --vkey witness.example/w1+...",
    ),
}
