"""What crosses the bridge comes out as what went in; nothing of a value's own class is called."""

from __future__ import annotations

import ast
import dataclasses
import datetime
import enum
import subprocess
import sys
from collections import namedtuple
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, ClassVar
from uuid import UUID

import pytest
from plain import PARTS, source

from belljar.sandbox.guest.records import EnumValue, Record
from belljar.sandbox.guest.values import Unsendable, dumps, loads

ZONE = datetime.timezone(datetime.timedelta(hours=5, minutes=30), "there")
VALUES = [
    None, True, False, 0, 1, -1, 127, 128, -128, -129, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1,
    10**5000, -(10**5000), 0.0, -0.0, 1e308, float("inf"), 3 - 4.5j, "", "a",
    "é😀\ud800\0", "x" * 300,
    b"", b"\0\xff", b"y" * 300, bytearray(b"z"), (), (1,), tuple(range(300)), [], [1, "a", None],
    [1.5] * 20, [2**70] * 20, [True] * 20, [1, 2.0] * 10, {},
    {"a": 1, 2: "b", None: [], (1, "x"): 0},
    set(), {1, "a", 2.5}, frozenset(), frozenset({frozenset({1}), (2,)}),
    dict.fromkeys(range(5000)),
    set(range(5000)), {f"k{i}": i for i in range(5000)},
    datetime.date(1, 1, 1), datetime.date(9999, 12, 31), datetime.time(23, 59, 59, 999999, fold=1),
    datetime.time(1, tzinfo=ZONE), datetime.datetime(2026, 2, 3, 4, 5, 6, 7, ZONE, fold=1),
    datetime.datetime(2026, 2, 3), datetime.timedelta.min, datetime.timedelta.max, ZONE,
    datetime.UTC,
    Decimal("-0.0"), Decimal("1E+1000000"), Decimal("123.456E-7"), Decimal("Infinity"),
    Fraction(-7, 3), UUID(int=5), Path("/a/b"), Path("x\udcff"), PurePosixPath("."),
    PureWindowsPath("c:\\x"), range(1, 9, 2), range(0), slice(None, 3), slice(1, None, -1),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_equal_and_of_the_same_type(value: object) -> None:
    again = loads(dumps(value))
    assert type(again) is type(value)
    assert again == value
    assert repr(again)[:200] == repr(value)[:200] if not isinstance(value, int) else True


def test_signs_folds_zones_and_payloads_are_kept() -> None:
    import math

    assert math.copysign(1, loads(dumps(-0.0))) == -1
    assert math.isnan(loads(dumps(float("nan"))))
    for moment in (datetime.datetime(2026, 1, 1, fold=1), datetime.time(1, fold=1)):
        assert loads(dumps(moment)).fold == 1
    zone = loads(dumps(ZONE))
    assert (zone.utcoffset(None), zone.tzname(None)) == (ZONE.utcoffset(None), "there")
    assert str(loads(dumps(Decimal("-NaN123")))) == "-NaN123"
    assert str(loads(dumps(Decimal("sNaN")))) == "sNaN"


def test_order_of_a_dict_is_kept() -> None:
    value = {i: str(i) for i in (5, 3, 9, 1)}
    assert list(loads(dumps(value))) == [5, 3, 9, 1]


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 7


class Bits(enum.Flag):
    A = 1
    B = 2


def test_an_enumeration_goes_as_its_names_and_its_value() -> None:
    found = loads(dumps([Colour.RED, Level.LOW, Bits.A | Bits.B]))
    assert found[0] == EnumValue("Colour", "RED", 1)
    assert (found[1].type_name, found[1].name, found[1].value) == ("Level", "LOW", 7)
    assert found[2].value == 3
    assert loads(dumps({Colour.RED: 1})) == {EnumValue("Colour", "RED", 1): 1}
    assert loads(dumps(found)) == found
    with pytest.raises(AttributeError):
        found[0].name = "GREEN"


@dataclasses.dataclass
class Point:
    x: int
    y: Any
    _hidden: int = 3
    kind: ClassVar[str] = "not a field"


@dataclasses.dataclass(frozen=True)
class Slotted:
    __slots__ = ("a",)
    a: int


def test_a_dataclass_goes_as_a_record_of_its_fields() -> None:
    record = loads(dumps(Point(1, [Slotted(2)])))
    assert type(record) is Record
    assert record.type_name == "Point"
    assert record.fields == {"x": 1, "y": [Record("Slotted", {"a": 2})], "_hidden": 3}
    assert record.x == 1
    assert record["_hidden"] == 3
    assert loads(dumps(record)) == record
    for name in ("_hidden", "kind", "__array_interface__", "nothing"):
        with pytest.raises(AttributeError):
            getattr(record, name)
    with pytest.raises(AttributeError):
        record.x = 2
    with pytest.raises(TypeError):
        hash(record)


def test_a_record_shows_nothing_of_what_it_holds() -> None:
    assert repr(Record("T\x1b[31m", {"a": "\x1b[31m"})) == "<record T\\x1b[31m: 'a'>"
    assert repr(EnumValue("C", "\x1b", "\x1b")) == "<C.\\x1b>"


class Loud(str):
    """Every method of it is an accident."""

    def _called(self, *_: object) -> Any:
        raise AssertionError("a method of the value was called")

    __str__ = __repr__ = __len__ = __hash__ = __eq__ = encode = __iter__ = _called  # type: ignore[assignment]
    __reduce__ = __reduce_ex__ = __getattribute__ = _called  # type: ignore[assignment]


class LoudInt(int):
    __index__ = __int__ = __hash__ = __eq__ = __reduce_ex__ = Loud._called  # type: ignore[assignment]


class LoudDict(dict):  # type: ignore[type-arg]
    __iter__ = items = keys = __len__ = __getattribute__ = Loud._called  # type: ignore[assignment]


class Meta(type):
    def __getattribute__(cls, name: str) -> Any:
        raise AssertionError("the class was asked")


class Asked(metaclass=Meta):
    pass


NO_DATA = (
    lambda: Loud("x"), lambda: LoudInt(3), LoudDict, lambda: object.__new__(Asked),
    lambda: namedtuple("T", "a")(1), object, lambda: print, lambda: int, lambda: Ellipsis,
    lambda: NotImplemented, lambda: memoryview(b""), lambda: iter(()),
    lambda: test_what_is_no_data_is_refused_without_asking_it,
    lambda: sys, lambda: ValueError("x"), datetime.tzinfo,
)  # fmt: skip


def test_what_is_no_data_is_refused_without_asking_it() -> None:
    for make in NO_DATA:
        for wrapped in (make(), [make()], {"k": make()}):
            with pytest.raises(Unsendable):
                dumps(wrapped)


def test_a_date_in_a_zone_of_rules_is_refused() -> None:
    from zoneinfo import ZoneInfo

    with pytest.raises(Unsendable, match="zone of rules"):
        dumps(datetime.datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")))


def test_what_the_reader_would_refuse_is_not_sent() -> None:
    deep: object = 0
    for _ in range(65):
        deep = [deep]
    endless: list[object] = []
    endless.append(endless)
    doubled: object = ["x"]
    for _ in range(60):
        doubled = [doubled, doubled]
    for value in (
        deep, endless, Decimal("1E+1000001"), Decimal("1E-1000001"), Decimal("1" * 65_001),
        Fraction(1, 256**4096), range(256**40), slice(256**40), {Slotted(1): 1}, {Slotted(1)},
        frozenset(range(20_000)), slice("a"),
    ):  # fmt: skip
        with pytest.raises(Unsendable):
            dumps(value)
    with pytest.raises(Unsendable):
        dumps(doubled, room=1 << 20)


def test_what_may_be_sent_may_be_read() -> None:
    """The writer counts memory as the reader does: an honest guest is not ended for its answer."""
    deep: object = 0
    for _ in range(64):
        deep = [deep]
    for value in (
        deep, [{None, True, False}] * 20_000, [frozenset({1})] * 20_000, [{None: None}] * 20_000,
        [{True: 1, False: 2, None: 3}] * 20_000, [Path(".")] * 20_000, [Colour.RED] * 20_000,
        [Slotted(1)] * 20_000, [[]] * 50_000, [()] * 50_000, ["ab"] * 50_000, [b""] * 50_000,
        [bytearray()] * 50_000, [UUID(int=1)] * 20_000, [Decimal(1)] * 20_000, [1j] * 20_000,
        [Fraction(1)] * 20_000, [range(1)] * 20_000, [slice(1)] * 20_000, [ZONE] * 20_000,
        [datetime.datetime(1, 1, 1)] * 20_000, Fraction(1, 256**4095), Decimal("1" * 65_000),
        ["x" * 300] * 5000,
    ):  # fmt: skip
        loads(dumps(value))
    with pytest.raises(Unsendable):
        dumps([None] * 1000, room=40_000)


def test_references_go_by_refer_and_come_by_resolve() -> None:
    given: list[object] = []

    def refer(obj: object) -> Any:
        if type(obj) is object:
            return 2, 7
        return (3, 0xFFFFFFFF, ["about", {"x": 1}]) if obj is print else None

    def resolve(*what: object) -> object:
        given.append(what)
        return len(given)

    assert loads(dumps([object(), print], refer), resolve) == [1, 2]
    assert given == [(2, 7), (3, 0xFFFFFFFF, ["about", {"x": 1}])]
    for value in ({object(): 1}, {object()}, {(1, print): 1}):
        with pytest.raises(Unsendable):
            dumps(value, refer)


def test_large_bytes_are_offered_as_references() -> None:
    large, offered = b"x" * (1 << 20), []

    def refer(obj: object) -> Any:
        offered.append(type(obj))
        return None if type(obj) is bytes else (3, 1)

    assert loads(dumps([large, bytearray(large)], refer), lambda *_: "there") == [large, "there"]
    assert offered == [bytes, bytearray]
    assert loads(dumps({large: 1}, refer)) == {large: 1}
    assert len(offered) == 2


def test_modules_are_imported_only_when_such_a_value_comes() -> None:
    code = (
        "import sys; from belljar.sandbox.guest.values import dumps, loads\n"
        "loads(dumps([1, 'a', {2: 3.5}, object.__new__(type('T', (), {}))], lambda o: (1, 1)),"
        " lambda *a: 0)\n"
        "print(*sorted({'datetime', 'decimal', 'fractions', 'uuid', 'pathlib', 'enum', 'struct',"
        " 'dataclasses'} & set(sys.modules)))\n"
        "print(loads(b'W\\xea\\x07\\1\\1H\\0\\0\\0\\0\\0\\0\\0\\0N'))"
    )
    run = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, check=True,
                         env={"PYTHONPATH": str(PARTS.parents[2])})  # fmt: skip
    assert run.stdout.decode().splitlines() == ["", "2026-01-01 00:00:00"]


def test_the_parts_of_a_guest_do_not_hide_one_anothers_names() -> None:
    """They are one file: a name is one part's."""
    from belljar.confine import first_lines

    seen: dict[str, str] = {}
    for part in first_lines.LIVE_PARTS:
        tree = ast.parse((PARTS / part).read_text("utf-8"), feature_version=(3, 8))
        own: set[str] = set()
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                own.add(node.name)
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                named = [x for t in targets for x in ast.walk(t) if isinstance(x, ast.Name)]
                own.update(x.id for x in named if isinstance(x.ctx, ast.Store))
        own -= {"TYPE_CHECKING"}
        for name in own & set(seen):
            raise AssertionError(f"{name} is in {seen[name]} and in {part}")
        seen.update(dict.fromkeys(own, part))


def test_the_parts_need_nothing_newer_than_python_3_8() -> None:
    tree = ast.parse(source(), feature_version=(3, 8))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "zip":
            assert not node.keywords, "zip(strict=) is of 3.10"
