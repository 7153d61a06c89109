"""What a guest may pass on to a sandbox of its own: some of its grants as they are, lower limits.

Pure. A path has to be one of the guest's own grants, not a part of one: what lies beneath may be a
link by which the guest would lead the host elsewhere.
"""

from __future__ import annotations

from belljar.errors import PolicyError
from belljar.model import Limits, Policy
from belljar.policy.keywords import from_keywords

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.model import Grant

_GRANTS: Final = {
    "read": "read", "write": "write", "append": "append", "connect": "connect", "import": "import",
}  # fmt: skip
_LIMITS: Final = Limits.__fields__
_PATHS: Final = ("read", "write", "append")
_MOST, _LONGEST = 100, 4096


def within(outer: Policy, asked: object) -> Policy:
    """`outer` with only those of its grants that `asked` names, and with its limits, or lower ones.

    `asked` is the guest's: keys of a policy file to texts, lists of texts or numbers. Settings such
    as `block` and the rules stay as they are; environment, programs and listeners are not passed
    on. Raises `PolicyError` for whatever is more than `outer` gives.

    >>> from belljar.model import Grant
    >>> outer = Policy(grants=(Grant("read", "/a", "x", "/srv/a"), Grant("read", "/b", "x")))
    >>> [grant.source for grant in within(outer, {"read": ["/a"]}).grants]
    ['/srv/a']
    """
    if type(asked) is not dict or len(asked) > _MOST:
        raise PolicyError("sandbox", "the grants are names and values")
    grants: list[Grant] = []
    limits: dict[str, object] = {}
    for word, value in asked.items():
        key = word.removesuffix("_").replace("_", "-") if type(word) is str else ""
        if key in _GRANTS:
            grants += _granted(outer, key, value)
        elif key.replace("-", "_") in _LIMITS:
            name = key.replace("-", "_")
            limits[name] = _limit(outer, key, name, value)
        else:
            raise PolicyError("sandbox", "a guest passes on read, write, append, connect, import "
                              "and limits")  # fmt: skip
    kept = tuple(dict.fromkeys(grants))
    return outer.replace(
        grants=kept, limits=outer.limits.replace(**limits), env=(), overlay=(), devices=(),
        accept_from=(), stdin="null", stdout="capture", stderr="capture",
    )  # fmt: skip


def _granted(outer: Policy, key: str, value: object) -> list[Grant]:
    texts = [value] if type(value) is str else value
    if type(texts) not in (list, tuple) or len(texts) > _MOST:  # type: ignore[arg-type]
        raise PolicyError(key, "a text or a list of texts")
    found = []
    for text in texts:  # type: ignore[attr-defined]
        if type(text) is not str or len(text) > _LONGEST or "\0" in text:
            raise PolicyError(key, "a text or a list of texts")
        try:
            (wanted,) = from_keywords(Policy(), {key: [text]}, "/").grants
        except (ValueError, TypeError):
            raise PolicyError(key, "this is no grant") from None
        own = [g for g in outer.grants if (g.right, g.target) == (wanted.right, wanted.target)]
        if not own or (key in _PATHS and _may_be_replaced(outer, own[0])):
            raise PolicyError(key, "this is more than the sandbox itself was granted")
        found.append(own[0])
    return found


def _may_be_replaced(outer: Policy, grant: Grant) -> bool:
    """Whether the guest can put something else in the grant's place: a directory that it may write
    lies around it."""
    place = grant.source or grant.target
    return any(
        one is not grant and one.right == "write"
        and place.startswith((one.source or one.target).rstrip("/") + "/")
        for one in outer.grants
    )  # fmt: skip


def _limit(outer: Policy, key: str, name: str, value: object) -> object:
    if type(value) not in (str, int, float) or (type(value) is str and len(value) > 64):
        raise PolicyError(key, "a number, or a text such as 64M")
    wanted = getattr(from_keywords(Policy(), {key: value}, "/").limits, name)
    most = getattr(outer.limits, name)
    if not wanted <= most:
        raise PolicyError(key, "this is more than the sandbox itself was granted")
    return wanted
