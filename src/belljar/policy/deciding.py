"""`decide`: what a policy says of one event. Pure and total: no I/O, no clock, no exception.

It explains and it steers the windows; the walls enforce the same policy without asking it. Paths
are compared by their letters. `none` means that the policy says nothing of the event, or the event
does not tell enough: only the walls decide.
"""

from __future__ import annotations

from belljar.events.paths import absolute, covers, is_normal
from belljar.events.targets import targets
from belljar.model import Decision
from belljar.policy import addresses
from belljar.policy.flags import mapped, quoted_path
from belljar.policy.modules import UNSAFE_MODULES, normal, within
from belljar.policy.refused import refused_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.model import Event, Grant, Policy, Rule
    from belljar.policy.rules import Rules

#: Right -> the grants that give it. A write grant does not give reading.
_GIVEN_BY: Final[dict[str, tuple[str, ...]]] = {
    "read": ("read",),
    "list": ("list", "read"),
    "write": ("write",),
    "append": ("append", "write"),
    "execute": ("execute", "run"),
}
_FLAG: Final = {"list": "read", "execute": "run"}
_SAFE: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,")
_NO_GRANT: Final = "no grant covers it"
_UNMADE: Final = "granted for append: what is not there yet may be made, as only the walls know"
_UNTOLD: Final = "the event does not tell its target"
_NO_RIGHT: Final = Decision("none", "it needs no right")


def decide(policy: Policy, event: Event) -> Decision:
    """What `policy` says of `event`; of several targets the strictest answer.

    >>> from belljar.model import Event, Grant, Policy
    >>> policy = Policy(grants=(Grant("read", "/data", "--read"),))
    >>> event = Event(1, 0, 1, 1, "open", ("/etc/passwd", "r", 0), "read", "/etc/passwd")
    >>> decide(policy, event).remedy
    '--read /etc/passwd'
    """
    answer = _NO_RIGHT
    for index, (right, target) in enumerate(targets(event)):
        found = _decide(policy, event, right, target)
        if index and target != event.target and found.verdict == "deny":
            found = found.replace(because=f"{target}: {found.because}")
        if index == 0 or _worse(found, answer):
            answer = found
    if policy.rules:
        return _ruled(policy, event, answer)
    return answer


def _worse(one: Decision, other: Decision) -> bool:
    order = ("allow", "none", "deny")
    return order.index(one.verdict) > order.index(other.verdict)


def _ruled(policy: Policy, event: Event, answer: Decision) -> Decision:
    fired = _rules(policy).judge(event)
    return answer if fired is None else by_rule(fired, answer, event)


def by_rule(rule: Rule, answer: Decision, event: Event) -> Decision:
    """What is decided where `rule` fires for `event` and grants alone would say `answer`."""
    if rule.then in ("deny", "kill"):
        from belljar.policy.untold import unclear

        lost = unclear(event, rule)
        because = f"the rule at {rule.origin or 'default'} forbids it" + (lost and f": {lost}")
        return Decision("deny", because, answer.grant, "", rule)
    done: Decision = answer.replace(rule=rule)
    return done


_latest: list[tuple[tuple[Rule, ...], Rules]] = []


def _rules(policy: Policy) -> Rules:
    """The compiled rules; those of the policy that was asked about last are kept."""
    if not _latest or _latest[0][0] is not policy.rules:
        from belljar.policy.rules import Rules

        _latest[:] = [(policy.rules, Rules(policy.rules))]
    return _latest[0][1]


def _decide(policy: Policy, event: Event, right: str, target: str | None) -> Decision:
    if right in _GIVEN_BY:
        return _path(policy, right, target, made=event.name in ("open", "belljar.open"))
    if right == "run":
        return _run(policy, target)
    if right in ("connect", "bind"):
        return _address(policy, right, target)
    if right == "import":
        return _import(policy, target)
    if right == "code" and event.refused:  # what else needs the right is source, or the runtime's
        because = "it makes code that is not compiled from source, outside the runtime"
        return Decision("deny", because, None, "--bytecode")
    if right == "resolve":
        return _resolve(policy, event, target)
    for named, given, key in (
        ("netinfo", policy.net_info, "net-info"),
        ("native", policy.extensions == "all", 'extensions = "all"'),
        ("fsinfo", policy.names == "visible", 'names = "visible"'),
    ):
        if right == named and given:
            return Decision("allow", f"{key} gives it")
    return Decision("none", f"the policy says nothing of {right}; only the walls decide")


def quote(text: str) -> str:
    """`text` as one word of a shell.

    >>> quote("/a b")
    "'/a b'"
    """
    if text and _SAFE.issuperset(text):
        return text
    return "'" + text.replace("'", "'\"'\"'") + "'"


def _path(policy: Policy, right: str, target: str | None, *, made: bool) -> Decision:
    if target is None or not target.startswith("/"):
        return Decision("none", _UNTOLD)
    if not is_normal(target):
        target = absolute(target, "/")
    other: Grant | None = None
    for grant in policy.grants:
        if covers(grant.target, target):
            if grant.right in _GIVEN_BY[right]:
                return Decision("allow", f"granted at {grant.origin}", grant)
            if grant.right in _GIVEN_BY and (
                other is None or len(grant.target) > len(other.target)
            ):
                other = grant
    if made and right == "write" and other is not None and other.right == "append":
        return Decision("none", _UNMADE, other)
    remedy = ""
    argument = _path_argument(target, other)
    if argument:
        remedy = f"--{_FLAG.get(right, right)} {quote(argument)}"
    if other is not None:
        return Decision("deny", f"granted for {other.right}, not for {right}", other, remedy)
    return Decision("deny", _NO_GRANT, _nearest_path(policy, right, target), remedy)


def _path_argument(target: str, around: Grant | None) -> str:
    """What a flag must say to grant just `target`, or nothing where no flag can.

    Within a mapped grant, the guest's name stands for another one of the host's.
    """
    if "\0" in target or refused_path(target):
        return ""
    if around is None or around.source in ("", around.target):
        return quoted_path(target)
    source = absolute(f"{around.source}/{target[len(around.target) :]}", "/")
    argument = f"{target}={source}"
    return argument if mapped(argument) == {target: source} and not refused_path(source) else ""


def _nearest_path(policy: Policy, right: str, target: str) -> Grant | None:
    """The grant with the longest common path; of equals one of the same right, written first."""
    best, best_score = None, (-1, False)
    wanted = target.split("/")[1:]
    for grant in policy.grants:
        if grant.right not in _GIVEN_BY or grant.origin in ("runtime", "default"):
            continue
        common = 0
        for one, two in zip(grant.target.split("/")[1:], wanted, strict=False):
            if one != two:
                break
            common += 1
        score = (common, grant.right in _GIVEN_BY[right])
        if score > best_score:
            best, best_score = grant, score
    return best


def _run(policy: Policy, target: str | None) -> Decision:
    if not target:
        return Decision("none", _UNTOLD)
    if target.startswith("/") and not is_normal(target):
        target = absolute(target, "/")
    name = target.rpartition("/")[2]
    nearest: Grant | None = None
    alike: Grant | None = None
    for grant in policy.grants:
        if grant.right != "run":
            continue
        if grant.target == target:
            return Decision("allow", f"granted at {grant.origin}", grant)
        same_name = grant.target.rpartition("/")[2] == name
        if same_name and ("/" not in target or "/" not in grant.target):
            alike = grant
        if nearest is None or same_name:
            nearest = grant
    if alike is not None:
        return Decision("none", "granted by name: which file that is, the walls decide", alike)
    remedy = ""
    plain = "/" in target or target not in (".", "..")
    if plain and "\0" not in target and not target.startswith(("-", "~")):
        remedy = "" if refused_path(target) else f"--run {quote(target)}"
    return Decision("deny", _NO_GRANT, nearest, remedy)


def _address(policy: Policy, right: str, target: str | None) -> Decision:
    if not target:
        return Decision("none", _UNTOLD)
    nearest: Grant | None = None
    asked = addresses.parts(target)
    for grant in policy.grants:
        if grant.right != right:
            continue
        if addresses.covers(grant.target, target):
            return Decision("allow", f"granted at {grant.origin}", grant)
        given = addresses.parts(grant.target)
        same = asked and given and addresses.same_host(given[1], asked[1])
        if nearest is None or same:
            nearest = grant
    return Decision("deny", _NO_GRANT, nearest, _address_remedy(right, target))


def _address_remedy(right: str, target: str) -> str:
    """The flag for just this address, or nothing where no flag can name it."""
    try:
        written = addresses.canonical(target, "/", least_port=0 if right == "bind" else 1)
    except ValueError:
        return ""
    if "\0" in target or not addresses.covers(written, target):
        return ""
    return f"--{right} {quote(written.removeprefix('tcp:'))}"


def _resolve(policy: Policy, event: Event, target: str | None) -> Decision:
    if not target:
        return Decision("none", _UNTOLD)
    host = addresses.network_of(target) or target.lower().removesuffix(".")
    if not isinstance(host, str):
        return Decision("allow", "it is an address already")
    if host in ("localhost", "belljar"):
        return Decision("allow", "it is this machine's own name")
    for grant in policy.grants:
        if grant.right == "connect":
            given = addresses.parts(grant.target)
            if given and given[1] == host:
                return Decision("allow", f"granted at {grant.origin}", grant)
    port = event.args[1] if event.name == "socket.getaddrinfo" and len(event.args) > 1 else "*"
    if type(port) is not int or not 1 <= port <= 65535:
        port = "*"
    return Decision("deny", _NO_GRANT, None, _address_remedy("connect", f"{host}:{port}"))


def _import(policy: Policy, target: str | None) -> Decision:
    if not target:
        return Decision("none", _UNTOLD)
    around = within(target)
    owner = UNSAFE_MODULES.get(target.partition(".")[0])
    for name in policy.block:
        blocked = normal(name)
        if blocked in around or (owner is not None and blocked == normal(owner)):
            return Decision("deny", f"{name} is blocked at {policy.origin('modules.block')}")
    for grant in policy.grants:
        if grant.right == "import":
            given = normal(grant.target)
            if given in around or (owner is not None and given == normal(owner)):
                return Decision("allow", f"granted at {grant.origin}", grant)
    if owner is None:
        return Decision("allow", "nothing forbids this module")
    if policy.extensions == "all":
        return Decision("allow", f'extensions = "all" at {policy.origin("modules.extensions")}')
    because = "it is outside the safe set of the standard library, and no grant names it"
    return Decision("deny", because, None, f"--import {quote(owner)}")
