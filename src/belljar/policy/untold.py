"""What an event says of its targets where it says it in a way of its own, or not at all.

Other spellings of a network address; and what is known of a target that cannot be told: the
argument is no text, was cut, or is relative to a directory that nobody told.
"""

from __future__ import annotations

from belljar.events.catalogue import lookup
from belljar.events.paths import absolute
from belljar.events.targets import Code, Cut, targets, text_of
from belljar.events.values import path_of
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.model import Event, Rule

#: What None stands for in the others is no file and no program: a message over a connection,
#: the program itself as a library, any host.
_NEVER_NONE: Final = ("file", "process")
_OPEN: Final = ("open", "belljar.open")
_LOOPBACK: Final = {
    "0.0.0.0": ("127.0.0.1",),  # noqa: S104
    "::": ("::1",),
    "localhost": ("127.0.0.1", "::1"),
}


class Untold(Value):
    """A right whose target cannot be told: the texts that it begins and ends with, as far as
    they are known."""

    right: str
    begins: str = ""
    ends: str = ""


def untold(event: Event) -> tuple[Untold, ...]:
    """What `event` needs on targets that it does not tell.

    >>> from belljar.model import Event
    >>> untold(Event(1, 0, 1, 1, "open", ("sub/x", None, 0), "read", None, "sub/x"))
    (Untold(right='read', begins='', ends='/sub/x'),)
    """
    row = lookup(event.name)
    if row is None:
        return ()
    args, right = event.args, event.right or ""
    found = []
    index = 0 if event.name in ("exec", "_posixsubprocess.fork_exec") else row[3]
    if event.target is None and index >= 0 and (event.right or not row[2]):
        value = args[index] if index < len(args) else None
        rights = [r for r, _ in targets(event)] if event.name in _OPEN else [right]
        found += [one for r in rights for one in _of(event, r, value, row[4])]
    if event.name in ("os.rename", "os.link") and args and targets(event)[-1][1] is None:
        found += _of(event, right, args[0], "file")
    if event.name == "import" and len(args) > 1 and text_of(args[1]) is None:
        found += _of(event, "native", args[1], "")
    return tuple(found)


def unclear(event: Event, rule: Rule) -> str:
    """A clause for a person, where `rule` refused `event` although nobody knows its target; empty
    where the target is known, or the rule means any.

    >>> from belljar.model import Event, Rule
    >>> opened = Event(1, 0, 1, 1, "open", ("x", None, 0), "read", None, "x")
    >>> unclear(opened, Rule(target="/srv/*", then="deny"))[:34]
    'its target cannot be told: os.open'
    """
    if rule.target in ("*", ("*",)):
        return ""
    lost = untold(event)
    if any(one.ends for one in lost):
        call = "os.open" if event.name == "open" else event.name
        return (
            f"its target cannot be told: {call} does not say which directory a relative path "
            "starts from"
        )
    return "its target cannot be told" if lost else ""


def _of(event: Event, right: str, value: object, kind: str) -> list[Untold]:
    if event.name == "_posixsubprocess.fork_exec" and type(value) is tuple and value:
        return [one for each in value for one in _of(event, right, each, "")]
    if event.name == "exec":
        return [] if type(value) is Code else [Untold(right)]
    if value is None:
        return [Untold(right)] if right and kind in _NEVER_NONE else []
    if type(value) in (int, bool):  # opening a descriptor opens nothing
        named = kind in _NEVER_NONE and event.name != "open" and right != "signal"
        return [Untold(right)] if named else []
    if type(value) is Cut:
        return [Untold(right, path_of(value.text, event.cwd) or value.text)]
    text = text_of(value)
    if text is None:
        return [Untold(right)]
    if not right and not kind:
        return []
    if right in ("connect", "bind") or event.name == "sqlite3.connect":
        return [Untold(right)]
    if not text or kind not in ("file", "process", "native"):
        return []
    ends = absolute(text, "/")
    return [Untold(right, ends="" if ends == "/" else ends)]


def texts(event: Event) -> tuple[str, ...]:
    """Targets as text that the event tells although it has none: the programs that are tried one
    after the other, a number."""
    value = event.args[0] if event.args else None
    if event.name == "_posixsubprocess.fork_exec" and type(value) is tuple:
        found = (path_of(each, event.cwd) or text_of(each) for each in value)
        return tuple(text for text in found if text)
    return ()


def spellings(address: str) -> tuple[str, ...]:
    """The same address as `connect` understands it, where that is another text; also what it
    reaches on this machine.

    >>> spellings("127.1:80"), spellings("udp:[::ffff:10.0.0.1]:53"), spellings("10.0.0.1:80")
    (('127.0.0.1:80',), ('udp:10.0.0.1:53',), ())
    """
    if address.startswith(("unix:", "packet:", "netlink:", "vsock:", "can:", "tipc:", "alg:")):
        return ()
    udp = "udp:" if address.startswith("udp:") else ""
    host, _, port = address.removeprefix("udp:").rpartition(":")
    host = host.removeprefix("[").removesuffix("]").lower().rstrip(".")
    plain = (_six(host) if ":" in host else _four(host)) or host
    hosts = (plain, *_LOOPBACK.get(plain, ()))
    shown = [f"{udp}[{h}]:{port}" if ":" in h else f"{udp}{h}:{port}" for h in hosts]
    return tuple(text for text in shown if text != address)


def _four(host: str) -> str | None:
    """As inet_aton reads it: one to four numbers, decimal, octal or hexadecimal."""
    parts = host.split(".")
    if len(parts) > 4 or not host.isascii() or len(host) > 64:
        return None
    numbers = []
    for part in parts:
        base = 16 if part.startswith("0x") else 8 if part.startswith("0") else 10
        if not part.isalnum():
            return None
        try:
            numbers.append(int(part[2:] or "0" if base == 16 else part, base))
        except ValueError:
            return None
    *first, last = numbers
    if any(n > 255 for n in first) or last >= 1 << 8 * (4 - len(first)):
        return None
    whole = last + sum(n << 8 * (3 - i) for i, n in enumerate(first))
    return ".".join(str(whole >> shift & 255) for shift in (24, 16, 8, 0))


def _six(host: str) -> str | None:
    from ipaddress import IPv6Address

    try:
        address = IPv6Address(host)
    except ValueError:
        return None
    return str(address.ipv4_mapped or address)
