"""A sink that was written as a table, as the one text that it is everywhere else."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def sink_text(table: dict[str, Any]) -> str:
    """`{ to = "syslog+udp://h", rights = ["run"], severity = "warning" }` as text.

    What the options mean, and whether such a sink can be, the ledger says. Raises `ValueError`.

    >>> sink_text({"to": "syslog+udp://h:514", "rights": ["run", "connect"]})
    'syslog+udp://h:514?rights=run,connect'
    """
    from urllib.parse import urlencode

    to = table.get("to")
    if type(to) is not str or not to:
        raise ValueError('a sink\'s table needs its place: to = "syslog+udp://HOST:514"')
    pairs = {}
    for name, value in table.items():
        items = value if type(value) is list else [value]
        if not items or any(type(item) not in (str, int) or item == "" for item in items):
            raise ValueError(f"{name} of a sink must be text, a number or a list of them")
        if name != "to":
            pairs[name] = ",".join(str(item) for item in items)
    if not pairs:
        return to
    return f"{to}{'&' if '?' in to else '?'}{urlencode(pairs, safe='/,:')}"
