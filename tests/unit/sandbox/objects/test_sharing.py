"""Host objects: what is listed can be used, as it would be at home."""

from __future__ import annotations

import types
from dataclasses import dataclass

import pytest
from pairs import Pair

from belljar.sandbox.bridge.exposure import Exposure
from belljar.sandbox.bridge.handles import Exposed


class Table:
    """Something of a host's."""

    limit = 3

    def __init__(self) -> None:
        self.rows = {"a": 1}
        self._secret = "not for guests"

    def get(self, key: str, default: object = None) -> object:
        return self.rows.get(key, default)

    def put(self, key: str, value: object) -> None:
        self.rows[key] = value

    def __getitem__(self, key: str) -> object:
        return self.rows[key]

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, key: str) -> bool:
        return key in self.rows

    def me(self) -> Table:
        return self


def test_a_listed_method_is_called_with_data_and_answers_with_data() -> None:
    pair = Pair()
    table = Table()
    pair.share("db", table, methods=["get", "put"], attributes=["limit"])
    db = pair.host.db
    assert db.get("a") == 1
    assert db.get("b", default=[1, {"x": (2.5, None)}]) == [1, {"x": (2.5, None)}]
    db.put("b", b"bytes")
    assert table.rows["b"] == b"bytes"
    assert db.limit == 3
    assert [row[:3] for row in pair.recorded] == [
        ("db", "get", "allow"), ("db", "get", "allow"), ("db", "put", "allow"),
        ("db", "limit", "allow"),
    ]  # fmt: skip


def test_host_and_its_objects_tell_what_they_have() -> None:
    pair = Pair()
    pair.share("db", Table(), methods=["get", "__len__"], attributes=["limit"])
    assert dir(pair.host) == ["db"]
    assert dir(pair.host.db) == ["__len__", "get", "limit"]
    assert repr(pair.host.db) == "<host object db>"
    with pytest.raises(AttributeError, match="nothing is shared by this name"):
        pair.host.other  # noqa: B018


def test_listed_special_methods_have_their_syntax() -> None:
    pair = Pair()
    pair.share("db", Table(), methods=["__getitem__", "__len__", "__contains__"])
    db = pair.host.db
    assert db["a"] == 1
    assert len(db) == 1
    assert "a" in db
    with pytest.raises(KeyError, match="nowhere"):
        db["nowhere"]


def test_functions_are_shared_as_a_dict_a_module_or_one() -> None:
    pair = Pair()
    pair.share("tools", functions={"double": lambda x: 2 * x})
    pair.share("ask", functions=lambda text: text.upper())
    module = types.ModuleType("module")
    exec("from os import getcwd\ndef add(a, b): return a + b\ndef _private(): pass", vars(module))
    pair.share("module", functions=module)
    assert pair.host.tools.double(21) == 42
    assert pair.host.ask("yes") == "YES"
    assert pair.host.module.add(1, 2) == 3
    assert dir(pair.host.module) == ["add"]


def test_a_method_that_returns_its_own_object_returns_the_capability() -> None:
    pair = Pair()
    pair.share("db", Table(), methods=["me", "get"])
    db = pair.host.db
    assert db.me() == db
    assert db.me().me().get("a") == 1


def test_a_result_that_is_no_data_needs_the_shares_word() -> None:
    pair = Pair()
    pair.share("db", functions={"open": Table})
    with pytest.raises(TypeError, match="the share does not say how its result is passed"):
        pair.host.db.open()
    name, method, verdict, because = pair.recorded[-1]
    assert (name, method, verdict) == ("db", "open", "deny")
    assert "test_sharing.Table, which is not data" in because
    assert "returns={'open': [...]}" in because


def test_a_result_is_a_new_capability_where_the_share_says_so() -> None:
    pair = Pair()
    nested = Exposure(methods=["get"], returns={"get": ["get"]})
    made = {"open": Table, "all": lambda: [Table(), 7], "deep": lambda: Table()}
    returns = {"open": ["get", "me"], "all": ["get"], "deep": nested}
    pair.share("db", functions=made, returns=returns)
    table = pair.host.db.open()
    assert table.get("a") == 1
    assert repr(table) == "<host object db.open()>"
    assert not hasattr(table, "put")
    first, second = pair.host.db.all()
    assert (first.get("a"), second) == (1, 7)
    assert table != first
    assert pair.recorded[-1][0] == "db.all()"
    assert pair.host.db.deep().get("a") == 1


def test_a_class_may_say_itself_what_of_it_is_shared() -> None:
    class Told(Table):
        __belljar__ = Exposure(methods=["get"])

    pair = Pair()
    pair.share("db", Told())
    assert dir(pair.host.db) == ["get"]


def test_a_result_may_be_marked_by_the_function_itself() -> None:
    pair = Pair()
    pair.share("db", functions={"open": lambda: Exposed(Table(), methods=["get"])})
    assert pair.host.db.open().get("a") == 1


def test_an_attribute_that_is_no_data_is_a_capability_where_the_share_says_so() -> None:
    class Base:
        table = Table()

    pair = Pair()
    pair.share("bad", Base(), attributes=["table"])
    pair.share("base", Base(), attributes=["table"], returns={"table": ["get"]})
    with pytest.raises(TypeError, match="does not say how"):
        pair.host.bad.table  # noqa: B018
    assert pair.host.base.table.get("a") == 1


def test_dataclasses_cross_as_data() -> None:
    @dataclass
    class Row:
        x: int

    pair = Pair()
    pair.share("db", functions={"row": lambda: Row(3)})
    assert pair.host.db.row().x == 3


def test_a_capability_given_back_is_a_handle_and_not_the_object() -> None:
    pair = Pair()
    table = Table()
    seen: list[object] = []
    pair.share("db", table, methods=["get"])
    pair.share("log", functions={"see": lambda what: seen.append(what)})
    pair.host.log.see(pair.host.db)
    assert repr(seen[0]) == "<Handle db: get>"
    assert seen[0].object is table


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"methods": ["_secret"]}, ValueError, "_secret is private"),
        ({"methods": ["__class__"]}, ValueError, "__class__ is private"),
        ({"methods": ["__reduce__"]}, ValueError, "__reduce__ is private"),
        ({"attributes": ["__dict__"]}, ValueError, "__dict__ is private"),
        ({"attributes": ["__len__"]}, ValueError, "__len__ is private"),
        ({"methods": ["nowhere"]}, AttributeError, "nowhere"),
        ({"methods": ["limit"]}, TypeError, "limit is not callable"),
        ({"methods": "get"}, TypeError, "not the text 'get'"),
        ({"methods": ["get"], "attributes": ["get"]}, ValueError, "as a method and"),
        ({"methods": ["aio"]}, ValueError, "aio is taken"),
        ({}, TypeError, "say which methods"),
        ({"methods": ["get"], "allow": {"put": print}}, ValueError, "'put' is not among"),
        ({"methods": ["get"], "limits": {"get": 3}}, TypeError, "belljar.Limit"),
        ({"methods": ["get"], "returns": {"get": []}}, ValueError, "empty list"),
        ({"methods": ["get"], "messages": 1}, TypeError, "messages"),
    ],
)  # fmt: skip
def test_what_cannot_be_shared_is_told_to_who_shares(arguments, error, text) -> None:
    with pytest.raises(error, match=text):
        Pair().share("db", Table(), **arguments)


def test_a_name_is_shared_once() -> None:
    pair = Pair()
    handle = pair.share("db", Table(), methods=["get"])
    with pytest.raises(ValueError, match="db is shared already"):
        pair.share("db", Table(), methods=["get"])
    handle.revoke()
    pair.share("db", Table(), methods=["put"])
    assert dir(pair.host.db) == ["put"]
    with pytest.raises(ValueError, match="'_db' is not a name"):
        pair.share("_db", Table(), methods=["get"])
