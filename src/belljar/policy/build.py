"""From checked pieces to a `Policy`: the part that files, flags and keywords share.

A `Draft` takes one key at a time, as the types that TOML has, with a function that tells where
each piece was written. It raises `PolicyError` at that place; it looks nothing up on disk.
"""

from __future__ import annotations

from belljar.errors import PolicyError
from belljar.events.paths import absolute, covers
from belljar.model import RIGHTS, Grant, Limits, Policy
from belljar.policy.addresses import canonical, canonical_network
from belljar.policy.keys import GRANTING, Key
from belljar.policy.refused import refused_path
from belljar.policy.units import parse_size, parse_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    #: From the rest of a place (`()` or `(2,)` or `("/in",)`) to `policy.toml:7`.
    PlaceOf = Callable[..., str]

_NAME: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
MAX_COUNT: Final = 1 << 20


def show(value: object) -> str:
    """A value of someone's file for a message: on one line, not too long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def complaint(place: str, message: object) -> PolicyError:
    """The error at `place`; names in the message stay on one line whatever they hold."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(message))
    return PolicyError(place, text)


class Draft:
    """A policy in the making, on top of `base`; relative paths are relative to `folder`."""

    def __init__(self, base: Policy, folder: str) -> None:
        self.folder = folder
        self.grants = list(base.grants)
        self.fields: dict[str, Any] = {}
        self.limits: dict[str, Any] = dict(base.limits.__dict__)
        self.given = dict(base.given)
        self.base = base

    def policy(self) -> Policy:
        """The finished policy."""
        done: Policy = self.base.replace(
            grants=tuple(self.grants),
            limits=Limits(**self.limits),
            given=tuple(self.given.items()),
            **self.fields,
        )
        return done

    def take(self, key: Key, value: object, place: PlaceOf, *, add: bool) -> None:
        """Take the value of one key. `add` appends to the base's list instead of replacing it."""
        try:
            if key.kind in GRANTING:
                self._grants(key, value, place)
            elif key.section == "limits":
                self.limits[key.field] = _number(key, value)
            elif key.kind == "env":
                self._env(value, place)
            else:
                self._field(key, value, place, add=add)
        except ValueError as reason:
            raise complaint(place(), f"{key.dotted}: {reason}") from None
        self.given[key.dotted] = place()

    def _field(self, key: Key, value: object, place: PlaceOf, *, add: bool) -> None:
        if key.kind == "bool":
            if type(value) is not bool:
                raise ValueError(f"expected true or false, got {show(value)}")
            self.fields[key.field] = value
        elif key.kind == "choice":
            self.fields[key.field] = _choice(key, value)
        elif key.kind == "builtins":
            named = type(value) is list
            items = tuple(_items(key, value, place, _identifier)) if named else ()
            self.fields[key.field] = items if named else _choice(key, value)
        elif key.kind in ("stream", "place"):
            word = _text(value)
            known = word in key.choices or (key.kind == "place" and _is_socket(word))
            self.fields[key.field] = word if known else _path(word, self.folder)
        else:
            check = {"rights": _right, "names": _name, "networks": canonical_network}.get(key.kind)
            if key.kind == "devices":
                check = self._device
            if key.kind == "folders":
                check = self._folder
            if key.kind == "sinks":
                value = _sinks(key, value, place)
            items = tuple(_items(key, value, place, check or _text))
            old = self.fields.get(key.field, getattr(self.base, key.field)) if add else ()
            self.fields[key.field] = (*old, *(item for item in items if item not in old))

    def _device(self, text: str) -> str:
        path = _path(text, self.folder)
        if path == "/dev" or not covers("/dev", path):
            raise ValueError(f"expected a path beneath /dev, got {show(text)}")
        return path

    def _folder(self, text: str) -> str:
        path = _path(text, self.folder)
        if reason := refused_path(path):
            raise ValueError(reason)
        return path

    def _env(self, value: object, place: PlaceOf) -> None:
        if type(value) is not dict:
            raise ValueError(f'expected a table such as {{ LANG = "C.UTF-8" }}, got {show(value)}')
        env = dict(self.fields.get("env", self.base.env))
        for name, item in value.items():
            reason = ""
            if not name or "=" in name or "\0" in name:
                reason = f"{show(name)} is not the name of a variable"
            elif name.startswith("BELLJAR_"):
                reason = f"{name} is reserved for Belljar"
            elif item is not True and (type(item) is not str or "\0" in item):
                reason = f"expected text, or true to pass the host's, got {show(item)}"
            if reason:
                raise complaint(place(name), f"process.env: {reason}")
            env[name] = item
        self.fields["env"] = tuple(env.items())

    def _grants(self, key: Key, value: object, place: PlaceOf) -> None:
        if key.kind == "paths" and type(value) is dict:
            for target, source in value.items():
                self._grant(key, place(target), self._mapped, target, source)
            return
        if type(value) is not list:
            extra = ', or a table such as { "/in" = "data/" }' if key.kind == "paths" else ""
            raise ValueError(f"expected a list of strings{extra}, got {show(value)}")
        make = {
            "paths": self._plain,
            "programs": self._program,
            "addresses": self._address if key.name == "connect" else self._listener,
            "modules": _module,
        }[key.kind]
        for index, item in enumerate(value):
            self._grant(key, place(index), make, item)

    def _grant(
        self, key: Key, where: str, make: Callable[..., tuple[str, str, bool]], *written: object
    ) -> None:
        try:
            target, source, optional = make(*map(_text, written))
            directory = key.name == "append" and str(written[-1]).endswith("/")
            grant = Grant(key.name, target, where, source, optional, directory)
            for other in self.grants:
                same = other.target == target and other.right in ("read", "write", "append")
                stands_for = other.source or other.target
                if key.kind == "paths" and same and stands_for != source:
                    raise ValueError(f"{target} already stands for {stands_for}")
        except ValueError as reason:
            raise complaint(where, f"{key.dotted}: {reason}") from None
        self.grants.append(grant)

    def _plain(self, text: str) -> tuple[str, str, bool]:
        optional = text.startswith("-")
        path = _path(text[1:] if optional else text, self.folder)
        if reason := refused_path(path):
            raise ValueError(reason)
        return path, path, optional

    def _mapped(self, target: str, source: str) -> tuple[str, str, bool]:
        if not target.startswith("/"):
            raise ValueError(f"the guest's name {show(target)} must be an absolute path")
        inside = _path(target, "/")
        _, outside, optional = self._plain(source)
        if reason := refused_path(inside):
            raise ValueError(reason)
        return inside, outside, optional

    def _program(self, text: str) -> tuple[str, str, bool]:
        optional = text.startswith("-")
        text = text[1:] if optional else text
        if "/" in text:
            return *self._plain(text)[:2], optional
        if not text or text in (".", "..") or "\0" in text:
            raise ValueError(f"{show(text)} is not a program")
        return text, "", optional

    def _address(self, text: str) -> tuple[str, str, bool]:
        return canonical(text, self.folder), "", False

    def _listener(self, text: str) -> tuple[str, str, bool]:
        return canonical(text, self.folder, least_port=0), "", False


def _number(key: Key, value: object) -> int | float:
    if key.kind == "time":
        return parse_time(value)
    if key.kind == "size":
        number = parse_size(value)
    elif type(value) is int and value <= MAX_COUNT:
        number = value
    else:
        raise ValueError(f"expected a whole number up to {MAX_COUNT}, got {show(value)}")
    if number < key.least:
        least = f"{key.least >> 20}MiB" if key.kind == "size" else str(key.least)
        raise ValueError(f"must be at least {least}, got {show(value)}")
    return number


def _text(value: object) -> str:
    if type(value) is not str:
        raise ValueError(f"expected a string, got {show(value)}")
    if not value or "\0" in value:
        raise ValueError(f"expected a string that is not empty and has no NUL, got {show(value)}")
    return value


def _path(text: str, folder: str) -> str:
    if not text or "\0" in text:
        raise ValueError("a path cannot be empty or hold NUL")
    if text == "~" or text.startswith("~/"):
        raise ValueError(f"{show(text)}: ~ is not expanded; write the directory out, or ./~")
    return absolute(text, folder)


def _is_socket(text: str) -> bool:
    """Does it name a collector's socket (`unix:/run/belljar/collect.sock`)?"""
    if not text.startswith("unix:"):
        return False
    if not text.startswith("unix:/") or "\0" in text:
        raise ValueError(f"{show(text)}: a socket's name is absolute, unix:/run/...")
    return True


def _choice(key: Key, value: object) -> str:
    if type(value) is str and value in key.choices:
        return value
    raise ValueError(f"expected {', '.join(key.choices)}, got {show(value)}")


def _name(text: str) -> str:
    if not _NAME.issuperset(text) or not any(c.isalnum() for c in text):
        raise ValueError(f"{show(text)} is not a name")
    return text


def _module(text: str) -> tuple[str, str, bool]:
    return _name(text), "", False


def _identifier(text: str) -> str:
    if not text.isidentifier():
        raise ValueError(f"{show(text)} is not the name of a builtin")
    return text


def _right(text: str) -> str:
    if text not in RIGHTS:
        raise ValueError(f"{show(text)} is not a right; rights are {', '.join(RIGHTS)}")
    return text


def _sinks(key: Key, value: object, place: PlaceOf) -> object:
    """Sinks as texts: a table is its `to` with the other entries as options."""
    if type(value) is not list:
        return value
    from belljar.policy.sinks import sink_text

    texts = []
    for index, item in enumerate(value):
        try:
            texts.append(sink_text(item) if type(item) is dict else item)
        except ValueError as reason:
            raise complaint(place(index), f"{key.dotted}: {reason}") from None
    return texts


def _items(key: Key, value: object, place: PlaceOf, check: Callable[[str], str]) -> list[str]:
    if type(value) is not list:
        raise ValueError(f"expected a list of strings, got {show(value)}")
    items = []
    for index, item in enumerate(value):
        try:
            items.append(check(_text(item)))
        except ValueError as reason:
            raise complaint(place(index), f"{key.dotted}: {reason}") from None
    return items
