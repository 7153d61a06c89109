"""What hostile frames get out of shared objects: each attack works against a naive proxy first.

The naive one does what simple bridges do: it looks up what the guest names with `getattr`, hands
out a number for every result that is no data, and passes the real objects and exceptions around.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from pairs import Guest, Pair

from belljar.errors import GuestProtocolError
from belljar.sandbox.bridge.failures import Refusal
from belljar.sandbox.bridge.objects import Objects
from belljar.sandbox.guest import ops
from belljar.sandbox.guest.values import dumps, loads

SECRET = "the host's secret"


class Vault:
    """One method of it is for the guest."""

    level = "public"

    def __init__(self) -> None:
        self._secret = SECRET
        self.hidden = SECRET

    def get(self, name: str, _all: bool = False) -> str:
        if _all:
            return self._secret
        if name not in ("a", "b"):
            raise FileNotFoundError(2, f"there is no {name} beside {SECRET}", "/srv/" + SECRET)
        return name

    def reveal(self) -> str:
        return self._secret

    def fail(self, name: str) -> None:
        raise ValueError(f"cannot read /srv/{self._secret}/{name}")

    def describe(self, other: object) -> str:
        return f"{getattr(other, '_secret', other)!s}"

    def __repr__(self) -> str:
        return f"Vault({self._secret})"


class Naive:
    """A proxy as it is written in an afternoon."""

    numbers = itertools.count(1)
    everything: dict[int, Any] = {}  # noqa: RUF012 - one table for all: an attack of its own

    def __init__(self) -> None:
        self.peer = None
        self.root = 0

    def share(self, name: str, obj: object, **_listed: object) -> None:
        self.root = self._number(obj)

    def _number(self, obj: object) -> int:
        number = next(self.numbers)
        self.everything[number] = obj
        return number

    def serve(self, op: str, body: Any, request: object = None) -> object:
        number, name, *rest = body
        if op == "get" and number == 0:
            return ops.HOST_OBJECT, self.root
        args, kwargs = rest or ((), {})
        target = self.everything[number]
        for part in name.split("."):
            target = getattr(target, part)
        try:
            return target(*args, **kwargs) if op == "call" else target
        except Exception as error:
            raise Refusal(type(error).__name__, str(error)) from None

    def refer(self, obj: object) -> tuple[int, int, object]:
        return ops.HOST_OBJECT, self._number(obj), ("x", (), (), "")

    def resolve(self, kind: int, number: int, _data: object = None) -> object:
        return self.everything[number]


class Attacker:
    """Raw frames: `get` and `call` take a number or something that was answered."""

    def __init__(self, objects: Any) -> None:
        self.objects = objects
        self.side = Guest(Pair()).side

    def ask(self, op: str, body: object) -> Any:
        sent = loads(dumps(body, self.side.refer), self.objects.resolve)
        answer = self.objects.serve(op, sent)
        return loads(dumps(answer, self.objects.refer), self.side.resolve)

    def get(self, of: Any, name: Any) -> Any:
        return self.ask("get", (getattr(of, "_number", of), name))

    def call(self, of: Any, name: Any, *args: Any, **kwargs: Any) -> Any:
        return self.ask("call", (getattr(of, "_number", of), name, args, kwargs))

    @property
    def root(self) -> Any:
        if type(self.objects) is Naive:
            return self.objects.root
        return self.get(0, "vault")


def globals_of_a_method(it: Attacker) -> object:
    method = it.get(it.root, "get")
    return it.get(method, "__globals__")["SECRET"]


def globals_by_the_class(it: Attacker) -> object:
    init = it.get(it.get(it.root, "__class__"), "__init__")
    return it.get(init, "__globals__")["SECRET"]


def dotted_path(it: Attacker) -> object:
    return it.call(it.root, "get.__globals__.get", "SECRET")


def dictionary(it: Attacker) -> object:
    return it.get(it.root, "__dict__")


def reduction(it: Attacker) -> object:
    return it.call(it.root, "__reduce_ex__", 2)


def state(it: Attacker) -> object:
    return it.call(it.root, "__getstate__")


def generic_lookup(it: Attacker) -> object:
    return it.call(it.root, "__getattribute__", "_secret")


def private_attribute(it: Attacker) -> object:
    return it.get(it.root, "_secret")


def unlisted_attribute(it: Attacker) -> object:
    return it.get(it.root, "hidden")


def unlisted_method(it: Attacker) -> object:
    return it.call(it.root, "reveal")


def method_read_as_an_attribute(it: Attacker) -> object:
    return it.call(it.get(it.root, "reveal"), "__call__")


def text_of_the_object(it: Attacker) -> object:
    return it.call(it.root, "__repr__")


def private_argument(it: Attacker) -> object:
    return it.call(it.root, "get", "a", _all=True)


def text_of_an_os_error(it: Attacker) -> object:
    with pytest.raises(Refusal) as error:
        it.call(it.root, "get", "nowhere")
    assert error.value.type_name == "FileNotFoundError"
    return error.value.message


def path_in_an_error(it: Attacker) -> object:
    with pytest.raises(Refusal) as error:
        it.call(it.root, "fail", "x")
    assert error.value.type_name == "ValueError"
    return error.value.message


def object_passed_where_another_is_expected(it: Attacker) -> object:
    """A confused deputy: a method that shows its argument is given the vault itself."""
    root = it.root
    if type(it.objects) is Naive:
        root = it.side.resolve(ops.HOST_OBJECT, root, ("x", (), (), ""))
    return it.call(root, "describe", root)


def attribute_that_is_set(it: Attacker) -> object:
    it.call(it.root, "__setattr__", "level", SECRET)
    return it.get(it.root, "level")


ATTACKS: tuple[Callable[[Attacker], object], ...] = (
    globals_of_a_method, globals_by_the_class, dotted_path, dictionary, reduction, state,
    generic_lookup, private_attribute, unlisted_attribute, unlisted_method,
    method_read_as_an_attribute, text_of_the_object, private_argument, text_of_an_os_error,
    path_in_an_error, object_passed_where_another_is_expected, attribute_that_is_set,
)  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_that_works_against_a_naive_proxy_gets_nothing_here(attack) -> None:
    naive = Naive()
    naive.share("vault", Vault())
    assert SECRET in str(attack(Attacker(naive))), "the attack does not work at all"

    seen: list[tuple[str, str, str]] = []
    objects = Objects(lambda name, method, why: seen.append((name, method, why.verdict)))
    vault = Vault()
    objects.share("vault", vault, methods=["get", "fail", "describe"], attributes=["level"])
    got, refused = None, None
    try:
        got = attack(Attacker(objects))
    except Refusal as error:
        got = refused = error
    assert refused is None or refused.type_name in ("AttributeError", "TypeError")
    assert refused is None or seen[-1][2] == "deny", "a refusal that is not recorded"
    assert SECRET not in str(got)
    assert vault.level == "public"


def test_a_number_of_another_sandbox_finds_nothing() -> None:
    first, second = Naive(), Naive()
    first.share("vault", Vault())
    second.share("other", object())
    assert Attacker(second).call(second.root - 1, "reveal") == SECRET

    theirs, ours = Objects(), Objects()
    theirs.share("filler", functions=len)
    theirs.share("vault", Vault(), methods=["reveal"])
    number = Attacker(theirs).get(0, "vault")._number
    ours.share("other", functions=len)
    for guess in (number, -1, 0, 1 << 40):
        with pytest.raises(Refusal, match="not shared, or no longer"):
            Attacker(ours).call(guess, "reveal")
    with pytest.raises(Exception, match="was not given"):  # nor by reference
        ours.resolve(ops.HOST_OBJECT, number)


def test_a_handle_of_another_sandbox_does_not_cross() -> None:
    first, second = Pair(), Pair()
    handle = first.share("vault", Vault(), methods=["reveal"])
    second.share("tools", functions={"leak": lambda: handle, "inside": lambda: [handle]})
    for name in ("leak", "inside"):
        with pytest.raises(TypeError):
            getattr(second.host.tools, name)()
    second.share("vault", handle.object, methods=["get"])  # but where the host shares it there
    assert second.host.vault.get("a") == "a"


def test_a_function_of_another_guest_does_not_cross_unless_shared() -> None:
    first, second = Pair(), Pair()
    kept: list[Any] = []
    first.share("keep", functions=kept.append)
    first.host.keep(lambda: SECRET)
    second.share("tools", functions={"leak": lambda: kept[0]})
    with pytest.raises(TypeError):
        second.host.tools.leak()
    second.share("borrowed", functions=kept[0])
    assert second.host.borrowed() == SECRET


def test_what_was_revoked_is_not_reached_by_its_old_number_or_its_results() -> None:
    objects = Objects()
    handle = objects.share("v", functions={"open": Vault}, returns={"open": ["reveal"]})
    attacker = Attacker(objects)
    root = attacker.get(0, "v")
    opened = attacker.call(root, "open")
    assert attacker.call(opened, "reveal") == SECRET
    handle.revoke()
    for number, name in ((root, "open"), (opened, "reveal")):
        with pytest.raises(Refusal, match="not shared, or no longer"):
            attacker.call(number, name)


@pytest.mark.parametrize(
    ("op", "body"),
    [
        ("call", None), ("call", (1, "get", ())), ("call", [1, "get", (), {}]),
        ("call", (True, "get", (), {})), ("call", (1.0, "get", (), {})),
        ("call", (1, b"get", (), {})), ("call", (1, ("get",), (), {})),
        ("call", (1, "get", [], {})), ("call", (1, "get", (), ())),
        ("call", (1, "get", (), {1: 2})), ("get", (1,)), ("get", ("1", "level")),
        ("get", (1, 2)), ("get", (False, "vault")), ("drop", None), ("drop", (1,)),
        ("drop", (1, 1.0)), ("drop", (1, 0)), ("drop", (1, -1)), ("drop", (1, 2)),
        ("drop", (2, 1)), ("drop", (True, 1)), ("buy", ()), ("__class__", ()),
    ],
)  # fmt: skip
def test_a_frame_that_no_proxy_sends_ends_the_guest(op: str, body: object) -> None:
    objects = Objects()
    objects.share("vault", Vault(), methods=["get"])
    attacker = Attacker(objects)
    attacker.get(0, "vault")  # number 1, sent once
    with pytest.raises(GuestProtocolError):
        attacker.ask(op, body)


@pytest.mark.parametrize(
    ("kind", "number", "data"),
    [
        (ops.HOST_OBJECT, 1, None), (ops.HOST_OBJECT, 7, None), (ops.GUEST_OBJECT, 0, "function"),
        (ops.GUEST_OBJECT, 1, "class"), (ops.GUEST_OBJECT, 1, ["function"]),
        (ops.GUEST_OBJECT, 1, None), (77, 1, "function"),
    ],
)  # fmt: skip
def test_a_reference_that_was_not_given_ends_the_guest(kind, number, data) -> None:
    objects = Objects()
    objects.share("vault", Vault(), methods=["get"])  # number 1, but not sent yet
    with pytest.raises(Exception, match=r"guest|known kind") as error:
        objects.resolve(kind, number, data)
    assert type(error.value).__name__ == "Malformed"


def test_a_number_lent_twice_ends_the_guest() -> None:
    objects = Objects()
    kept = objects.resolve(ops.GUEST_OBJECT, 5, "function")
    with pytest.raises(Exception, match="lends a number twice"):
        objects.resolve(ops.GUEST_OBJECT, 5, "function")
    assert repr(kept) == "<GuestFunction 5>"


def test_a_wrapper_of_a_guests_function_has_nothing_of_the_guests_own() -> None:
    pair = Pair()
    kept: list[Any] = []

    class Evil:
        __name__ = __qualname__ = "x"

        def __call__(self) -> None: ...
        def __eq__(self, other: object) -> bool:
            raise SystemExit

        def __hash__(self) -> int:
            raise SystemExit

        def __repr__(self) -> str:
            raise SystemExit

        def __bool__(self) -> bool:
            raise SystemExit

    pair.share("keep", functions=kept.append)
    pair.host.keep(Evil())
    wrapper = kept[0]
    assert wrapper
    assert wrapper == wrapper  # noqa: PLR0124
    assert {wrapper: 1}[wrapper] == 1
    assert str(wrapper) == "<GuestFunction 1>"
    assert not hasattr(wrapper, "__name__")
    assert not hasattr(wrapper, "__dict__")


def test_a_check_cannot_be_passed_by_another_way_of_giving_the_argument() -> None:
    pair = Pair()
    allow = {"get": lambda name: name == "a"}
    pair.share("vault", Vault(), methods=["get"], allow=allow)
    get = pair.host.vault.get
    assert get("a") == get(name="a") == "a"
    for args, more in ((("b",), {}), ((), {"name": "b"}), (("a", "b"), {}), ((), {})):
        with pytest.raises(PermissionError):
            get(*args, **more)


def test_what_a_check_saw_is_what_the_function_gets() -> None:
    """A list that the guest could change between the check and the use is a copy of the host's."""
    pair = Pair()
    seen: list[object] = []
    names = ["a"]

    def check(names: list[str]) -> bool:
        theirs[0].append("b")
        return names == ["a"]

    theirs = [names]
    pair.share("vault", functions={"get": seen.append}, allow={"get": check})
    pair.host.vault.get(names)
    assert seen == [["a"]]
    assert names == ["a", "b"]
