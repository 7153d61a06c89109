"""Keywords of `Policy(...)`, `Sandbox(...)` and `run(...)` on top of a policy: the keys of a policy
file with `_` for `-`. Lists append, single values replace, as flags do.
"""

from __future__ import annotations

import os

from belljar.errors import PolicyError
from belljar.policy.build import Draft, complaint
from belljar.policy.keys import BY_NAME, LISTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from belljar.model import Policy
    from belljar.policy.keys import Key


def from_keywords(
    base: Policy, keywords: Mapping[str, object], folder: str | None = None
) -> Policy:
    """`base` with the keywords applied in order; relative paths are relative to `folder`, else to
    the working directory. Raises `PolicyError` (its place is the keyword), and `TypeError` for a
    keyword that is no key.

    >>> from belljar.model import Policy
    >>> from_keywords(Policy(), {"read": ["data"], "cpu": 2}, "/srv").grants[0].target
    '/srv/data'
    """
    if not keywords:
        return base
    draft = Draft(base, os.getcwd() if folder is None else folder)
    for keyword, value in keywords.items():
        name = keyword.removesuffix("_").replace("_", "-")
        key = BY_NAME.get(name)
        if key is None:
            from belljar.policy.file import nearest

            hint = nearest(name, list(BY_NAME))
            for known in BY_NAME:  # as a keyword is written, not as a flag
                hint = hint.replace(f" {known}?", f" {_keyword(known)}?")
            raise TypeError(f"{keyword}= is not a key of the policy{hint}")
        place = f"{keyword}="

        def here(*_rest: str | int, place: str = place) -> str:
            return place

        try:
            draft.take(key, _value(key, value), here, add=True)
        except PolicyError as error:  # the keyword says which key it is
            raise complaint(place, error.message.removeprefix(f"{key.dotted}: ")) from None
    return draft.policy()


def base(policy: object) -> Policy:
    """The policy that keywords are added to: a `Policy`, the file of one, or None for none.

    Raises `PolicyError` for anything else, and for what the file says wrong.
    """
    from belljar.model import Policy

    if policy is None:
        return Policy()
    if isinstance(policy, Policy):
        return policy
    if isinstance(policy, str | os.PathLike):
        from belljar.policy import load

        return load(os.fsdecode(policy))
    wrong = f"expected a Policy or the path of a policy file, got {type(policy).__name__}"
    raise PolicyError("policy=", f"{wrong}; keys are keywords: read=[...]")


def _keyword(name: str) -> str:
    """How the key `name` is written as a keyword: `import` is a word of Python's own."""
    return "import_" if name == "import" else name.replace("-", "_")


def _value(key: Key, value: object) -> object:
    """The value as TOML would have it."""
    if isinstance(value, dict):
        return {_text(name): _text(item) for name, item in value.items()}
    if isinstance(value, tuple | set | frozenset | list):
        items = [_text(item) for item in value]
        return dict.fromkeys(items, True) if key.kind == "env" else items
    text = _text(value)
    if type(text) is str:
        if key.kind == "env":
            name, equals, rest = text.partition("=")
            return {name: rest if equals else True}
        if key.kind in LISTS or (key.kind == "builtins" and text not in key.choices):
            return [text]
    return text


def _text(value: object) -> object:
    """Paths as text; everything else as it is."""
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    return value
