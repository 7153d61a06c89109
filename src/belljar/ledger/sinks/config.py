"""What a sink is: a scheme, an address and options, written as one text.

syslog+tls://logs.example:6514?ca=/etc/ssl/ca.pem&severity=warning&rights=run,connect
"""

from __future__ import annotations

from belljar.errors import UsageError
from belljar.ledger.sinks.severity import LEVELS
from belljar.model import RIGHTS, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_COMMON: Final = ("rights", "severity")
_SYSLOG: Final = (*_COMMON, "facility", "size")
_HTTP: Final = (*_COMMON, "headers", "metrics")
_FORMS: Final = (
    "syslog+udp://HOST:514, syslog+tcp://HOST:514, syslog+tls://HOST:6514?ca=FILE, "
    "syslog:///dev/log, journald:, audit:, otlp+http://HOST:4318, jsonl:/FILE, jsonl:fd/3"
)
#: scheme -> its options, the port where none is given (0: there is no host)
SCHEMES: Final[dict[str, tuple[tuple[str, ...], int]]] = {
    "syslog+udp": (_SYSLOG, 514),
    "syslog+tcp": (_SYSLOG, 514),
    "syslog+tls": ((*_SYSLOG, "ca", "cert", "key", "name"), 6514),
    "syslog": ((*_SYSLOG, "form"), 0),
    "journald": (_COMMON, 0),
    "audit": (_COMMON, 0),
    "otlp+http": (_HTTP, 4318),
    "otlp+https": ((*_HTTP, "ca", "cert", "key"), 4318),
    "jsonl": (_COMMON, 0),
}
_FILES: Final = ("ca", "cert", "key", "headers")
_LONGEST: Final = 4096
_LEAST_SIZE: Final = 480  # what every receiver must take, RFC 5424 section 6.1
_MOST_SIZE: Final = 1 << 20
#: RFC 5424, table 1; 13 is "log audit"
FACILITIES: Final = {
    "user": 1, "daemon": 3, "auth": 4, "authpriv": 10, "audit": 13, "alert": 14,
    **{f"local{n}": 16 + n for n in range(8)},
}  # fmt: skip
JOURNAL: Final = "/run/systemd/journal/socket"


class Sink(Value):
    """One sink. `text` is what was written in one canonical form, `id` follows from it.

    `host` and `port` or `path` say where; `rights` and `severity` (the least) what it gets. A
    sink that writes to a `descriptor` belongs to one run.
    """

    id: str
    text: str
    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""
    descriptor: int = -1
    rights: tuple[str, ...] = ()
    severity: str = "debug"
    options: tuple[tuple[str, str], ...] = ()

    def option(self, name: str, default: str = "") -> str:
        """An option's text."""
        return dict(self.options).get(name, default)


def parse(text: str, run: bytes = b"") -> Sink:
    """The sink that `text` means. Raises `UsageError`, which names what is wrong and what is right.

    >>> sink = parse("syslog+udp://[::1]?severity=warning")
    >>> sink.host, sink.port, sink.severity
    ('::1', 514, 'warning')
    """
    from urllib.parse import parse_qsl, unquote, urlsplit

    if len(text) > _LONGEST or not text.isprintable():
        raise UsageError("a sink must be printable text of at most 4096 characters")
    scheme, colon, _rest = text.partition(":")
    if not colon or scheme not in SCHEMES:
        raise UsageError(f"{_show(text)} is no sink; expected one of {_FORMS}")
    known, default_port = SCHEMES[scheme]
    try:
        parts = urlsplit(text)
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        host, port = parts.hostname or "", parts.port or default_port
    except ValueError as error:
        raise UsageError(f"sink {_show(text)}: {error}") from None
    if "@" in parts.netloc or parts.fragment:
        raise UsageError(
            f"sink {scheme}: no name, password or fragment belongs into it; otlp+https takes "
            "headers=FILE"
        )
    options = _options(scheme, known, pairs)
    path = unquote(parts.path)
    if default_port:
        if not host or path not in ("", "/"):
            raise UsageError(f"sink {_show(text)}: expected {scheme}://HOST:{default_port}")
        path = ""
    elif host or parts.netloc:
        raise UsageError(f"sink {_show(text)}: {scheme} takes no host")
    descriptor = -1
    if scheme == "jsonl" and path.startswith("fd/"):
        descriptor = _descriptor(path)
    elif scheme in ("jsonl", "syslog"):
        if not path.startswith("/") or path.endswith("/") or ".." in path.split("/"):
            raise UsageError(f"sink {_show(text)}: expected the absolute path of a file")
    elif path and scheme != "journald":
        raise UsageError(f"sink {_show(text)}: {scheme} takes no path")
    rights = tuple(sorted({w for w in options.pop("rights", "").split(",") if w}))
    severity = options.pop("severity", "debug")
    _check(scheme, rights, severity, options)
    canonical = _canonical(scheme, host, port, path, rights, severity, options)
    return Sink(
        _identity(scheme, canonical, run if descriptor >= 0 else b""), canonical, scheme, host,
        port, path or (JOURNAL if scheme == "journald" else ""), descriptor, rights, severity,
        tuple(sorted(options.items())),
    )  # fmt: skip


def _options(scheme: str, known: tuple[str, ...], pairs: list[tuple[str, str]]) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            raise UsageError(f"sink {scheme}: no option {_show(name)}; it takes {', '.join(known)}")
        if name in options or not value:
            raise UsageError(f"sink {scheme}: {name} is given twice or without a value")
        options[name] = value
    return options


def _check(scheme: str, rights: tuple[str, ...], severity: str, options: dict[str, str]) -> None:
    for right in rights:
        if right not in RIGHTS:
            raise UsageError(
                f"sink {scheme}: {_show(right)} is not a right; rights are {', '.join(RIGHTS)}"
            )
    if severity not in LEVELS:
        raise UsageError(f"sink {scheme}: severity is one of {', '.join(LEVELS)}")
    if options.get("facility", "audit") not in FACILITIES:
        raise UsageError(f"sink {scheme}: facility is one of {', '.join(FACILITIES)}")
    size = options.get("size", "2048")
    if not size.isascii() or not size.isdigit() or not _LEAST_SIZE <= int(size) <= _MOST_SIZE:
        raise UsageError(f"sink {scheme}: size is {_LEAST_SIZE} to {_MOST_SIZE} bytes")
    if options.get("form", "5424") not in ("5424", "bsd"):
        raise UsageError(f"sink {scheme}: form is 5424 or bsd")
    if options.get("metrics", "on") not in ("on", "off", "only"):
        raise UsageError(f"sink {scheme}: metrics is on, off or only")
    for name in _FILES:
        if not options.get(name, "/").startswith("/"):
            raise UsageError(f"sink {scheme}: {name} must be the absolute path of a file")
    if "key" in options and "cert" not in options:
        raise UsageError(f"sink {scheme}: key goes with cert")


def _descriptor(path: str) -> int:
    number = path[3:]
    if not number.isascii() or not number.isdigit() or len(number) > 6:
        raise UsageError(f"sink jsonl:{_show(path)}: expected a descriptor such as jsonl:fd/3")
    return int(number)


def _canonical(
    scheme: str, host: str, port: int, path: str, rights: tuple[str, ...], severity: str,
    options: dict[str, str],
) -> str:  # fmt: skip
    from urllib.parse import quote, urlencode

    pairs = dict(options)
    if rights:
        pairs["rights"] = ",".join(rights)
    if severity != "debug":
        pairs["severity"] = severity
    shown = f"[{host}]" if ":" in host else host
    where = (
        f"//{shown}:{port}" if host else f"//{quote(path)}" if scheme == "syslog" else quote(path)
    )
    query = urlencode(sorted(pairs.items()), safe="/,:")
    return f"{scheme}:{where}" + (f"?{query}" if query else "")


def _identity(scheme: str, canonical: str, run: bytes) -> str:
    from belljar.ledger.format import sha256

    name = scheme.replace("+", "-")
    return f"{name}-{sha256(canonical.encode() + run).hexdigest()[:8]}"


def _show(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
