"""Flags of `belljar run` on top of a policy: `--read data/`, `--memory 256M`.

Lists append, single values replace. The place of a complaint is the flag.

Paths may be mapped: `--read /in=./data`. That form needs an absolute left side and, after an
equals sign, `/`, `./` or `../`; so `--read /data/year=2024/jan` is a plain path. A path that looks
mapped and is not is written with two slashes: `--read //data/x=/y`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from belljar.model import Policy
    from belljar.policy.keys import Key


def from_flags(base: Policy, flags: Sequence[tuple[str, str]], cwd: str) -> Policy:
    """`base` with the flags applied in order; relative paths are relative to `cwd`.

    A flag is its name, with or without dashes, and its text; a bool takes `true`, `false` or the
    empty text (true); lists of names take several with commas. Raises `PolicyError`.

    >>> from belljar.model import Policy
    >>> from_flags(Policy(), [("--read", "data")], "/srv").grants[0].target
    '/srv/data'
    """
    if not flags:
        return base
    from belljar.errors import PolicyError
    from belljar.policy.build import Draft, complaint
    from belljar.policy.keys import BY_NAME

    draft = Draft(base, cwd)
    for flag, text in flags:
        name = flag.removeprefix("--")
        key = BY_NAME.get(name)
        if key is None:
            from belljar.policy.file import nearest

            raise complaint(
                f"--{name}", f"is not a key of the policy{nearest(name, list(BY_NAME))}"
            )
        place = f"--{name}"

        def here(*_rest: str | int, place: str = place) -> str:
            return place

        try:
            draft.take(key, _value(key, text), here, add=True)
        except PolicyError as error:  # the flag says which key it is
            raise PolicyError(place, error.message.removeprefix(f"{key.dotted}: ")) from None
    return draft.policy()


def _value(key: Key, text: str) -> object:
    """The text of a flag as TOML would have it."""
    kind = key.kind
    if kind == "bool":
        return {"": True, "true": True, "false": False}.get(text, text)
    if kind == "env":
        name, equals, value = text.partition("=")
        return {name: value if equals else True}
    if kind == "count":
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text
    if kind == "paths":
        return mapped(text) or [text]
    if kind in ("modules", "names", "rights"):
        return text.split(",")
    if kind == "builtins":
        return text if text in key.choices else text.split(",")
    if kind in ("programs", "addresses", "networks", "devices", "folders", "sinks"):
        return [text]
    return text


def mapped(text: str) -> dict[str, str] | None:
    """`/in=./data` as `{"/in": "./data"}`; None for a plain path."""
    if not text.startswith("/") or text.startswith("//"):
        return None
    at = text.find("=")
    while at >= 0:
        source = text[at + 1 :]
        if source.removeprefix("-").startswith(("/", "./", "../")):
            return {text[:at]: source}
        at = text.find("=", at + 1)
    return None


def quoted_path(path: str) -> str:
    """A normal path as the argument of a flag that stands for just this path."""
    return f"/{path}" if mapped(path) else path
