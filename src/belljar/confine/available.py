"""Keys of the policy that no wall enforces in this version. They refuse to start, and say so."""

from __future__ import annotations

from belljar.errors import PolicyError
from belljar.model import Policy

#: Keys that refuse to start when they are given (the help marks them).
NOT_YET: frozenset[str] = frozenset()


def check(policy: Policy) -> None:
    """Raise `PolicyError` for the first key that is asked for and cannot be enforced yet."""
    for key, asked, why in _unenforced(policy):
        if asked:
            raise PolicyError(
                policy.origin(key), f"{key}: no wall enforces this yet ({why}); leave it out"
            )
    if policy.ledger == "none" and policy.must_log and "record.must-log" in dict(policy.given):
        raise PolicyError(
            policy.origin("record.must-log"),
            "record.must-log: nothing can wait for a record that is not kept; leave out this or "
            'ledger = "none"',
        )
    if policy.sinks:
        _check_sinks(policy)
    if type(policy.builtins) is tuple:
        import builtins

        for name in policy.builtins:
            if not hasattr(builtins, name):
                raise PolicyError(
                    policy.origin("modules.builtins"),
                    f"modules.builtins: CPython has no built-in {name!r}",
                )


def _check_sinks(policy: Policy) -> None:
    from belljar.errors import UsageError
    from belljar.ledger.sinks.config import parse

    place = policy.origin("record.sinks")
    if policy.ledger == "none":
        raise PolicyError(
            place,
            "record.sinks: sinks are fed from the record, and none is kept; leave out this or "
            'ledger = "none"',
        )
    if policy.ledger.startswith("unix:"):
        raise PolicyError(
            place, "record.sinks: a collector has its own sinks; register them for its ledger"
        )
    for text in policy.sinks:
        try:
            parse(text)
        except UsageError as error:
            raise PolicyError(place, f"record.sinks: {error}") from None


def _unenforced(policy: Policy) -> tuple[tuple[str, bool, str], ...]:
    return (
        (
            "network.accept-from",
            bool(policy.accept_from)
            and all(g.right != "bind" or g.target.startswith("unix:") for g in policy.grants),
            "nothing is listened on; grant bind of an address",
        ),
        ("protections", bool(policy.protections), "no extension declares protections"),
    )
