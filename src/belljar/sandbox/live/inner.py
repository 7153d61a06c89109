"""Sandboxes that a guest asks for: made by the host within the guest's own grants, used through it.

Nothing that the inner guest sends reaches the outer one but by the host's own decoder, and none of
the two sees the other's bridge.
"""

from __future__ import annotations

import weakref

from belljar.errors import BelljarError, PolicyError
from belljar.model import Policy, Value
from belljar.policy.within import within
from belljar.sandbox.bridge.exposure import Exposure
from belljar.sandbox.bridge.failures import Refusal
from belljar.sandbox.bridge.guests import GuestFunction
from belljar.sandbox.bridge.handles import Exposed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    from belljar.model import Limits
    from belljar.sandbox.live.box import Sandbox
    from belljar.sandbox.live.guest import Guest

    Make = Callable[[Policy], Sandbox]

#: How many sandboxes of one guest may live at once, their own ones included, and how deep.
MOST: Final = 8
DEEPEST: Final = 3


class Inner:
    """Makes the sandboxes of one guest: `operations["box"] = Inner(policy, make, guest)`.

    All that live, at any depth, have together no more memory than the outermost guest may have
    itself, and start no more processes; where none is asked for, a quarter of that. Their processor
    time and output are their guest's. Each ends when nobody holds it any more, or when the guest
    that asked for it is closed.
    """

    def __init__(
        self, policy: Policy, make: Make, guest: Guest, parent: Inner | None = None
    ) -> None:
        self._guest = guest
        self._policy = policy
        self._make = make
        self._depth: int = parent._depth + 1 if parent else 1
        limits = policy.limits
        self._whole: int = parent._whole if parent else limits.memory
        self._processes: int = parent._processes if parent else limits.processes - 1  # beside one
        self._living: weakref.WeakSet[InnerBox] = parent._living if parent else weakref.WeakSet()
        self._made: weakref.WeakSet[InnerBox] = weakref.WeakSet()  # by this guest itself

    def narrow(self, policy: Policy) -> None:
        """The guest has no more than this from now on: sandboxes that have more are ended."""
        self._policy = policy
        self._whole = min(self._whole, policy.limits.memory)
        for one in list(self._made):
            if not set(one.box.policy.grants) <= set(policy.grants):
                one.close()

    def __call__(self, asked: object) -> Exposed:
        """A sandbox with the grants that were asked for. Raises `Refusal`."""
        try:
            policy = within(self._policy, asked)
        except PolicyError as error:
            raise Refusal("PermissionError", f"{error.place}: {error.message}") from None
        living = [one for one in self._living if not one.ended]
        if len(living) >= MOST or self._depth > DEEPEST:
            raise Refusal("PermissionError", "this guest may have no more sandboxes")
        left = self._whole - sum(one.memory for one in living)
        if type(asked) is not dict or "memory" not in asked:
            memory = min(policy.limits.memory, self._whole // 4)
            policy = policy.replace(limits=policy.limits.replace(memory=memory))
        if policy.limits.memory > left:
            raise Refusal("PermissionError", "its sandboxes together may have no more memory")
        processes = self._processes - sum(one.processes for one in living)
        if type(asked) is not dict or "processes" not in asked:
            most = min(policy.limits.processes, 1 + self._processes // 4, 1 + max(0, processes))
            policy = policy.replace(limits=policy.limits.replace(processes=most))
        if policy.limits.processes - 1 > processes:
            raise Refusal("PermissionError", "its sandboxes together may start no more processes")
        try:
            box = InnerBox(self._make(policy), policy.limits)
        except BelljarError:
            raise Refusal("HostError", "the sandbox could not be made") from None
        self._living.add(box)
        self._made.add(box)
        self._guest.charge(box.box._guest)
        objects = box.box._asking.objects
        objects.operations["box"] = inner = Inner(policy, self._make, box.box._guest, self)
        box.box._narrowed.sandboxes = inner
        made = Exposed(box)
        made.name = "sandbox"
        return made


class InnerBox:
    """One of them, as the guest that asked for it uses it."""

    __belljar__ = Exposure(
        methods=("run", "eval", "call", "put", "get", "reset", "share", "close",
                 "__enter__", "__exit__"),
    )  # fmt: skip

    ends_with_its_share = True

    def __init__(self, box: Sandbox, limits: Limits) -> None:
        self.box = box
        self.memory = limits.memory
        self.processes = limits.processes - 1  # beside its own

    @property
    def ended(self) -> bool:
        """Whether its guest is gone."""
        return bool(self.box.ended_by)

    def run(self, source: str) -> dict[str, Any]:
        """Run source: `value`, `error` (type and text, or None), `status`, `ended_by`, `stdout` and
        `stderr`."""
        result = self.box.run(source)
        error = result.error
        told = (error.type_name, error.message) if error is not None else None
        value = None if isinstance(result.value, Value) else result.value  # an Opaque
        return {
            "value": value, "error": told, "status": result.status,
            "ended_by": result.ended_by, "stdout": result.stdout, "stderr": result.stderr,
        }  # fmt: skip

    def eval(self, expression: str) -> Any:
        """The value of an expression."""
        return self.box.eval(expression)

    def call(self, function: str, *args: Any, **kwargs: Any) -> Any:
        """Call a function of it by name."""
        lent = {name: _lent(value) for name, value in kwargs.items()}
        return self.box.call(function, *map(_lent, args), **lent)

    def put(self, name: str, value: Any) -> None:
        """Set a variable."""
        self.box.put(name, value)

    def get(self, name: str) -> Any:
        """The value of a variable."""
        return self.box.get(name)

    def reset(self) -> None:
        """Forget the variables."""
        self.box.reset()

    def share(self, name: str, functions: dict[str, Any]) -> None:
        """Let it call functions of the guest that asked for it."""
        if type(functions) is not dict:
            raise TypeError("a dict of functions")
        self.box.share(name, functions=functions)

    def close(self) -> None:
        """End it."""
        self.box.close()

    def __enter__(self) -> InnerBox:
        return self

    def __exit__(self, *_about: object) -> None:
        self.close()


def _lent(value: Any) -> Any:
    """A function of the outer guest as the inner one may call it: through the host."""
    return Exposed(value) if isinstance(value, GuestFunction) else value
