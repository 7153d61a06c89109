"""Arrow tables cross as their columns' bytes; what a guest says of them is checked."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from guests import Arrays

from belljar.errors import GuestProtocolError
from belljar.sandbox.guest.forms import BadForm
from belljar.sandbox.guest.tables import put_together
from belljar.sandbox.guest.values import Unsendable

pa: Any = pytest.importorskip("pyarrow")
DAY = datetime.datetime(2026, 3, 1)


@pytest.fixture(scope="module")
def guest() -> Iterator[Arrays]:
    with Arrays() as one:
        one.run(
            "import pyarrow as pa\ndef same(t):\n return t\ndef slot(t):\n return t.slice(1, 2)"
        )
        yield one


def full() -> Any:
    return pa.table(
        {
            "i": pa.array([1, None, 3]), "f": pa.array([1.5, 2.5, None]),
            "b": pa.array([True, None, False]), "s": pa.array(["ä", None, ""]),
            "l": pa.array([b"x", b"", None], pa.large_binary()), "u": pa.array([1, 2, 3], "u1"),
            "t": pa.array([DAY, None, DAY], pa.timestamp("us", "Europe/Paris")),
            "d": pa.array([DAY.date()] * 3), "h": pa.array(np.arange(3, dtype="f2")),
            "z": pa.array([datetime.timedelta(1)] * 3, pa.duration("ms")),
        }
    )  # fmt: skip


TABLES = {
    "all types": full,
    "a slice": lambda: full().slice(1, 2),
    "several pieces": lambda: pa.concat_tables([full(), full(), full().slice(2)]),
    "no rows": lambda: full().slice(0, 0),
    "no columns": lambda: pa.table({}),
    "large": lambda: pa.table({"a": np.arange(500_000), "b": [str(n) for n in range(500_000)]}),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_goes_in_and_comes_out(name: str, guest: Arrays) -> None:
    table = TABLES[name]()
    assert guest.call("same", table).equals(table)
    if table.num_rows > 2:
        assert guest.call("slot", table).equals(table.slice(1, 2))


def test_what_lies_beside_a_slice_stays_where_it_is() -> None:
    from belljar.sandbox.guest.tables import take_apart

    table = pa.table({"s": ["secret", "told", "hidden"], "i": [77, 1, 99]}).slice(1, 1)
    _, buffers = take_apart(pa, np, table)
    told = b"".join(bytes(one) for column in buffers for one in column if one is not None)
    assert b"told" in told
    assert b"secret" not in told
    assert b"hidden" not in told
    assert bytes([77]) not in told


@pytest.mark.parametrize("column", [[[1], [2]], [{"a": 1}] * 2], ids=["lists", "structs"])
def test_columns_that_do_not_cross_are_named(column: Any, guest: Arrays) -> None:
    with pytest.raises(Unsendable, match="'deep'"):
        guest.call("same", pa.table({"deep": pa.array(column)}))


@pytest.mark.parametrize("name", ["\ud800", "a" * 100_000])
def test_names_that_arrow_refuses_are_no_surprise(name: str) -> None:
    from belljar.sandbox.live.buffers import Buffers, Incoming

    form = ("table", 2, ((name, "int8", ""),))
    try:
        made: Any = Incoming(Buffers(1 << 20)).resolve(0, (form, ((None, u1(1, 2)),)))
    except GuestProtocolError:
        assert name == "\ud800"
    else:
        assert made.column_names == [name]


def u1(*numbers: int) -> Any:
    return np.array(numbers, "u1")


OFFSETS = np.array([0, 1, 2], "i4").view("u1")
FAR = np.array([0, 1, 1 << 30], "i4").view("u1")
BACK = np.array([0, 2, 1], "i4").view("u1")
WRONG = {
    "no columns": (("table", 2), ()),
    "rows that are none": (("table", -1, ()), ()),
    "too many rows": (("table", 1 << 50, (("a", "int64", ""),)), ((None, u1(0)),)),
    "fewer buffers": (("table", 2, (("a", "int8", ""),)), ()),
    "another type": (("table", 2, (("a", "dictionary", ""),)), ((None, u1(1, 2)),)),
    "an extension": (("table", 2, (("a", "extension<x>", ""),)), ((None, u1(1, 2)),)),
    "a function of arrow's": (("table", 2, (("a", "set_memory_pool", ""),)), ((None, u1(1, 2)),)),
    "too short": (("table", 3, (("a", "int8", ""),)), ((None, u1(1, 2)),)),
    "bits too short": (("table", 9, (("a", "int8", ""),)), ((u1(1), np.zeros(9, "u1")),)),
    "no items": (("table", 2, (("a", "int8", ""),)), ((None, None),)),
    "other items": (("table", 2, (("a", "int8", ""),)), ((None, np.zeros(2)),)),
    "bytes": (("table", 2, (("a", "int8", ""),)), ((None, b"xx"),)),
    "texts beyond the end": (("table", 2, (("a", "string", ""),)), ((None, FAR, u1(65, 66)),)),
    "texts that go back": (("table", 2, (("a", "string", ""),)), ((None, BACK, u1(65, 66)),)),
    "no text": (("table", 2, (("a", "string", ""),)), ((None, OFFSETS, u1(255, 254)),)),
    "texts without bytes": (("table", 2, (("a", "string", ""),)), ((None, OFFSETS, None),)),
    "a zone that is none": (
        ("table", 1, (("a", "timestamp[s]", "\0"),)), ((None, np.zeros(8, "u1")),)
    ),
}  # fmt: skip


@pytest.mark.parametrize(("form", "buffers"), WRONG.values(), ids=WRONG)
def test_tables_that_are_none_are_refused(form: Any, buffers: Any) -> None:
    with pytest.raises(BadForm):
        put_together(pa, np, form, buffers)


def test_texts_of_negative_length_are_an_attack_that_works_on_a_careless_host() -> None:
    naive = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(BACK.copy()), pa.py_buffer(u1(65, 66))]
    )
    with pytest.raises(pa.ArrowInvalid):
        naive.validate(full=True)  # nobody asked before: it was made


def test_a_forged_table_ends_the_bridge() -> None:
    with Arrays() as guest:
        guest.run(
            "class Forged: pass\n"
            "peer._others['refer'] = lambda value: (3, 0, (('table', 5, (('a', 'int8', ''),)), ()))"
        )
        with pytest.raises(GuestProtocolError):
            guest.run("Forged()")
