"""Keywords of the Python API on top of a policy: `read=["data/"]`, `memory="256M"`.

Each key of the policy is a keyword of the same name with `_` for `-`; `import_` is `import`.
Lists append, single values replace. The place of a complaint is the keyword.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from belljar.model import Policy
    from belljar.policy.keys import Key


def from_keywords(base: Policy, keywords: Mapping[str, object], cwd: str) -> Policy:
    """`base` with the keywords applied in order; relative paths are relative to `cwd`.

    A list may be a list or a tuple, or one text for a list of one; values are what a policy file
    may hold, and paths may be path-like. Raises `PolicyError`.

    >>> from belljar.model import Policy
    >>> from_keywords(Policy(), {"read": "data", "open_files": 32}, "/srv").grants[0].target
    '/srv/data'
    """
    if not keywords:
        return base
    from belljar.errors import PolicyError
    from belljar.policy.build import Draft, complaint
    from belljar.policy.keys import BY_NAME

    draft = Draft(base, cwd)
    for word, value in keywords.items():
        name = word.removesuffix("_").replace("_", "-")
        key = BY_NAME.get(name)
        if key is None:
            from belljar.policy.file import nearest

            raise complaint(f"{word}=", f"is not a key of the policy{nearest(name, list(BY_NAME))}")
        place = f"{word}="

        def here(*_rest: str | int, place: str = place) -> str:
            return place

        try:
            draft.take(key, _value(key, value), here, add=True)
        except PolicyError as error:  # the keyword says which key it is
            raise PolicyError(place, error.message.removeprefix(f"{key.dotted}: ")) from None
    return draft.policy()


def _value(key: Key, value: object) -> object:
    from belljar.policy.keys import LISTS

    if isinstance(value, (str, bytes)) or hasattr(value, "__fspath__"):
        text = _text(value)
        return [text] if key.kind in LISTS else text
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_text(item) for item in value]
    if isinstance(value, dict):
        return {_text(name): _text(item) for name, item in value.items()}
    return value


def _text(value: object) -> object:
    import os

    if isinstance(value, (str, bytes, os.PathLike)):
        return os.fsdecode(value)
    return value
