"""An error about a value that cannot cross says where in the request or answer it is."""

from __future__ import annotations

import pytest

import belljar
from belljar.sandbox.guest.placing import place_of


class Own:
    def __eq__(self, other: object) -> bool:
        raise AssertionError("ran code of the value's")

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("op", "body", "place"),
    [
        ("put", {"x": None}, "x"),
        ("put", {"x": [1, {"a": (0, None)}]}, "x[1]['a'][1]"),
        ("put", {"x": {"k" * 50: None}}, "x[...]"),
        ("call", ("f", (1, None), {}), "argument 2"),
        ("call", ("f", (), {"key": [None]}), "argument key[0]"),
        ("method", (3, "f", ([[None]],), {}), "argument 1[0][0]"),
        ("@call", (3, "f", (None,), {}), "argument 1"),
        ("=run", (0, [None], ()), "value[0]"),
        ("=run", (0, None, ()), ""),
        ("reset", None, ""),
        ("put", {"x": [[n] for n in range(5000)], "y": [[None]]}, "y[0][0]"),
    ],
)
def test_the_place_is_written_as_one_would(op: str, body: object, place: str) -> None:
    what = Own()

    def put_in(value: object) -> object:
        if value is None:
            return what
        if type(value) is dict:
            return {key: put_in(item) for key, item in value.items()}
        return type(value)(map(put_in, value)) if type(value) in (list, tuple) else value

    assert place_of(op, put_in(body), what) == place


def test_a_value_that_holds_itself_is_looked_at_for_a_while_only() -> None:
    whole: list[object] = []
    whole += [whole, whole]
    assert place_of("put", {"x": whole}, Own()) == ""


def test_errors_of_both_sides_say_where() -> None:
    with belljar.Sandbox(ledger="none") as box:
        box.share("take", functions=lambda *_all, **_more: None)
        with pytest.raises(belljar.Unsendable, match=r"^x\[1\]: Own is not data"):
            box.put(x=[1, Own()])
        with pytest.raises(belljar.Unsendable, match=r"^argument 2\['k'\]: Own is not data"):
            box.call("print", 1, {"k": Own()})
        for code, place in (
            ("[1, (object(),)]", "value[1][0]"),
            ("host.take(1, [object()])", "argument 2[0]"),
            ("host.take(key=object())", "argument key"),
        ):
            with pytest.raises(belljar.GuestError) as caught:
                box.eval(code)
            assert caught.value.message.startswith(f"{place}: object is not data"), code
        assert str(box.run("{'a': object()}").value.reason).startswith("value['a']: object")


def test_a_timeout_that_a_function_does_not_know_is_explained() -> None:
    with belljar.Sandbox(ledger="none") as box, pytest.raises(belljar.GuestError) as caught:
        box.call("math:gcd", 1, timeout=2)
    notes = getattr(caught.value, "__notes__", [])
    assert not notes  # math says it in other words
    with belljar.Sandbox(ledger="none") as box:
        box.run("def f(): pass")
        with pytest.raises(belljar.GuestError) as caught:
            box.call("f", timeout=2)
    assert "box.within(seconds).call(...)" in caught.value.__notes__[0]
