"""Policy files and the locator on arbitrary text and data."""

from __future__ import annotations

import re
import tomllib

from hypothesis import given
from hypothesis import strategies as st

from belljar.errors import PolicyError
from belljar.model import Policy
from belljar.policy.file import parse
from belljar.policy.keys import KEYS, SECTIONS
from belljar.policy.locate import locate


def read(text: str) -> Policy:
    return parse(text, "p.toml", "/srv")


words = st.sampled_from(["a", "read", "/x", "10s", "1M", "", "-", "*", "~", "\0", "host:1", "é\n"])
values = st.recursive(
    words | st.text(max_size=5) | st.integers() | st.floats() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from([key.name for key in KEYS] + ["match", "then", "shop", "x"])
sections = st.sampled_from([*SECTIONS, "rule", "protections", "y"])
tables = st.dictionaries(sections, st.dictionaries(names, values, max_size=4) | values, max_size=4)


def toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | int):
        return re.sub("^-nan", "nan", str(value))
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        return "[\n" + ",\n".join(toml(v) for v in value) + "]"
    assert isinstance(value, dict)
    return "{" + ", ".join(f"{quoted(k)} = {toml(v)}" for k, v in value.items()) + "}"


def quoted(text: str) -> str:
    return (
        '"'
        + "".join(f"\\U{ord(c):08x}" if ord(c) < 0xD800 or ord(c) > 0xDFFF else "?" for c in text)
        + '"'
    )


def outcome(text: str) -> Policy | str:
    try:
        return read(text)
    except PolicyError as error:
        return str(error)


@given(tables)
def test_arbitrary_data_is_a_policy_or_one_line_with_its_place(data: dict[str, object]) -> None:
    text = "schema = 1\n" + "\n".join(f"{quoted(k)} = {toml(v)}" for k, v in data.items())
    result = outcome(text)
    assert isinstance(result, Policy) or re.fullmatch(r"p\.toml(:\d+)?: [^\n]+", result)


@given(st.text() | st.text(alphabet="[]{}\"'=.,#\n\\ ab1"))
def test_arbitrary_text_is_a_policy_or_one_line_with_its_place(text: str) -> None:
    for whole in (text, f"schema = 1\n{text}"):
        result = outcome(whole)
        assert isinstance(result, Policy) or re.fullmatch(r"p\.toml(:\d+)?: [^\n]+", result)


@given(tables)
def test_the_locator_finds_every_key_and_item_of_arbitrary_data(data: dict[str, object]) -> None:
    text = "\n".join(f"{quoted(k)} = {toml(v)} # [x]" for k, v in data.items())
    places = locate(text)

    def check(value: object, path: tuple[str | int, ...]) -> None:
        assert path in places
        if isinstance(value, dict):
            for key, item in value.items():
                check(item, (*path, key))
        elif isinstance(value, list):
            for index, item in enumerate(value):
                check(item, (*path, index))

    check(data, ())
    assert set(places) == set(paths(data, ()))


def paths(value: object, path: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        inner = enumerate(value)
    return [path, *(p for key, item in inner for p in paths(item, (*path, key)))]


def test_the_locator_knows_every_way_to_write_a_key() -> None:
    text = '''\
a.b . "c d" = 1 # x = 1
e = """
[not.a.table]
f = 1 ""\\""" ""\"""
'g' = { h = [1,
  2, { i.j = 3 }], k = '#' }
[l."m\\u006e"]
o = \'\'\'
]\'\'\'\'
p = [ # comment ]
  "]", [
    "x"]]
[[q]]
r = 1
[[q]]
r = 2
[q.s]
t = 1979-05-27T07:32:00Z
[[q.u]]
v = 1
'''
    assert set(locate(text)) == set(paths(tomllib.loads(text), ()))
    places = locate(text)
    for path, line in (
        (("a", "b", "c d"), 1), (("e",), 2), (("g",), 5), (("g", "h", 1), 6),
        (("g", "h", 2, "i", "j"), 6), (("g", "k"), 6), (("l", "mn"), 7), (("l", "mn", "o"), 8),
        (("l", "mn", "p", 0), 11), (("l", "mn", "p", 1, 0), 12), (("q",), 13), (("q", 0, "r"), 14),
        (("q", 1), 15), (("q", 1, "r"), 16), (("q", 1, "s", "t"), 18), (("q", 1, "u", 0, "v"), 20),
    ):  # fmt: skip
        assert places[path] == line
