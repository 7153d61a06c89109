"""What a live guest can be asked: by a `Sandbox`, and by one with a wall clock of its own."""

from __future__ import annotations

from belljar.errors import GuestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from belljar.sandbox.live.asking import Asking
    from belljar.sandbox.result import Result


_OWN_CLOCK = "call() passes timeout= on to the function: a clock is box.within(seconds).call(...)"


class Questions:
    """The methods of a `Sandbox` by which it is asked. `Sandbox.within(seconds)` gives them with a
    shorter wall clock for each call."""

    _asking: Asking
    _seconds: float | None = None  # a wall clock for each call

    def within(self, seconds: float) -> Questions:
        """The same guest, whose calls may take `seconds` each where that is less than the policy's
        `wall`: `run`, `eval`, `call`, `put`, `get` and `reset`, all alike. One that takes longer
        ends the guest, as every limit does: `ended_by` is `wall`, `run` returns that, the others
        raise `SandboxEnded`. The time that a call waits for its turn does not count.

        A clock of its own, and no `timeout=` of `call` and `put`: those pass every keyword on.

        >>> box.within(2).call("requests:get", url, timeout=1)  # doctest: +SKIP
        """
        made = Questions()
        made._asking = self._asking
        seconds = checked_seconds(seconds)
        made._seconds = seconds if self._seconds is None else min(seconds, self._seconds)
        return made

    def _least(self, timeout: float | None) -> float | None:
        if timeout is None:
            return self._seconds
        timeout = checked_seconds(timeout, "timeout=")
        return timeout if self._seconds is None else min(timeout, self._seconds)

    def run(
        self,
        source: str,
        *,
        filename: str = "",
        timeout: float | None = None,
        check: bool = False,
    ) -> Result:
        """Run `source` in the guest's `__main__`; the result's `value` is that of a last
        expression, `belljar.Opaque` where it is no data. `timeout` (seconds) is a wall clock for
        this run where it is less than the policy's; it ends the guest, as every limit does.

        An exception is in the result (`error`), `sys.exit()` its `status`; with `check`, or by
        `result.check()`, they are raised. Raises `SandboxEnded` where the guest has ended before.

        >>> box.run("import math; math.pi").value  # doctest: +SKIP
        3.141592653589793
        """
        seconds = self._least(timeout)
        result = self._asking.result("run", (_source(source), filename, "exec"), seconds)
        return result.check() if check else result

    def eval(self, expression: str, *, timeout: float | None = None) -> Any:
        """The value of an expression. Raises `GuestError` for what it raises, and where the value
        is no data; `SandboxEnded` where the guest ends.

        >>> box.eval("6 * 7")  # doctest: +SKIP
        42
        """
        return self._asking.value("run", (_source(expression), "", "eval"), self._least(timeout))

    def call(self, function: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call `module:function` of the guest, or a name of its `__main__` (`function`,
        `obj.method`) with data and functions. All keywords are the function's, `timeout=` too: a
        clock for the call is `within(seconds).call(...)`. Raises as `eval`.

        >>> box.call("math:gcd", 12, 18)  # doctest: +SKIP
        6
        """
        try:
            return self._asking.call(function, args, kwargs, self._seconds)
        except GuestError as error:
            if "timeout" in kwargs and "unexpected keyword argument 'timeout'" in error.message:
                error.add_note(_OWN_CLOCK)
            raise

    def put(self, name: str | None = None, value: Any = None, /, **names: Any) -> None:
        """Set variables of the guest's `__main__`: `put("x", 1)` or `put(x=1, y=2)`."""
        if name is not None:
            names[_name(name)] = value
        names = self._asking.objects.arguments((), names)[1]
        self._asking.value("put", names, self._seconds)

    def get(self, name: str) -> Any:
        """The value of a variable, or of an attribute (`a.b`). Raises as `eval`."""
        return self._asking.value("get", _source(name), self._seconds)

    def reset(self) -> None:
        """Forget the variables of `__main__`. Imported modules stay imported and changed: what is
        to be as new is a new sandbox."""
        self._asking.value("reset", None, self._seconds)


def checked_seconds(seconds: object, what: str = "the argument of within()") -> float:
    """`seconds` if a clock can run for so long. Raises `TypeError` or `ValueError`."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{what} is a number of seconds, not {type(seconds).__name__}")
    if not seconds > 0:
        raise ValueError(f"{what} is a number of seconds above 0, not {seconds}")
    return seconds


def _source(source: object) -> str:
    if type(source) is not str:
        raise TypeError(f"source is text, not {type(source).__name__}")
    return source


def _name(name: object) -> str:
    if type(name) is not str or not name.isidentifier():
        raise ValueError(f"{name!a} is not the name of a variable")
    return name
