"""The template engine: live guests forked from an interpreter that has started already.

`Template` is what a program makes for its own modules; sandboxes that name none share one for each
interpreter. Guests of one template share its address layout and hash secret, so a template is for
one trust domain, and what it imported is there for all its guests.
"""

from __future__ import annotations

import os
import threading
import weakref

from belljar.confine import image
from belljar.confine.cache import cache_directory
from belljar.confine.first_lines import LIVE_PARTS, boot_file
from belljar.confine.probe import probe
from belljar.confine.program import Program
from belljar.confine.runtime import for_program
from belljar.confine.template import Template as Warmed
from belljar.confine.template import why_not
from belljar.errors import PolicyError, TemplateEnded, Unenforceable
from belljar.model import Policy
from belljar.policy.modules import normal, within
from belljar.sandbox.live import cold, ready

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

    from belljar.model import Status
    from belljar.sandbox.live.guest import Guest
    from belljar.sandbox.result import Denial

#: What the session loop and tracebacks import: each guest would do it again.
_OURS = ("os", "collections.abc", "contextlib", "traceback")


class Template:
    """A warmed interpreter that sandboxes are forked from, with grants of their own.

    `python` names an interpreter or virtual environment, as for `Sandbox`. `modules` are imported
    once, then `setup` (source) runs: both are trusted like code of the host's, by all guests of
    this template, and are there for each of them, whatever its policy says of imports. It sees
    nothing but the interpreter and its environment. With `names="visible"` that lies at the host's
    paths, for sandboxes that are given the same.

    It starts with the first sandbox, or by `start()`, and again when it should have ended;
    `close()` ends it for good, and every guest of it. `ready` guests are kept ready for each policy
    that sandboxes of it are made with, up to 32 in all; 0 for none. By default it is one, from the
    second such sandbox on, for a minute. Safe to be used by several threads. Raises
    `Unenforceable` where there are no namespaces, `TemplateError` when what it imports fails or
    starts a thread, `TemplateEnded` when it was closed.

    >>> template = belljar.Template(modules=["numpy"])  # doctest: +SKIP
    >>> with belljar.Sandbox(template=template, read=["data/"]) as box:
    ...     box.eval("__import__('numpy').arange(3).sum().item()")
    3
    """

    def __init__(
        self,
        *,
        python: str | os.PathLike[str] | None = None,
        modules: Iterable[str] = (),
        setup: str = "",
        names: str = "auto",
        ready: int | None = None,
    ) -> None:
        if ready is not None and (type(ready) is not int or ready < 0):
            raise TypeError(f"ready= is a number of guests, not {ready!a}")
        if isinstance(modules, str):
            raise TypeError(f"modules= is a list of names: [{modules!a}]")
        self.ready = ready
        self.python = None if python is None else os.fspath(python)
        self.modules = tuple(modules)
        self.names = names
        cache = cache_directory()
        tier = probe(cache).tier
        if reason := why_not(Policy(), tier):
            raise Unenforceable("files", reason, "leave the template out")
        program = Program("live", "", (), "/", (), self.python)
        runtime = for_program(program, cache)
        self._shown = image.show(Policy(names=names), runtime, tier, cache)
        self._shown.__enter__()
        guest = os.path.join(os.path.dirname(os.path.dirname(__file__)), "guest")
        first = boot_file(guest, runtime, cache, None, LIVE_PARTS)
        self.warmed = Warmed(
            runtime, tier, modules=(*_OURS, *self.modules), setup=setup,
            first=(first,) if os.path.exists(first) else (),
            shown=self._shown.shown,
        )  # fmt: skip
        self._finalizer = weakref.finalize(self, _end, self.warmed, self._shown)

    def start(self) -> Self:
        """Start it now, not with the first sandbox."""
        self._check_open()
        self.warmed.start()
        return self

    def close(self) -> None:
        """End it, and every guest that was forked from it. May be called twice."""
        self._finalizer()

    def _check_open(self) -> None:
        if not self._finalizer.alive:  # nothing holds its runtime any longer
            raise TemplateEnded("the template is closed: make another one")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def serves(self, policy: Policy, python: str | None) -> str:
        """Why a sandbox of `policy` and `python` cannot be forked from it; "" when it can."""
        if python is not None and python != self.python:
            return f"the template's python is {self.python or 'the default'!a}, not {python!a}"
        if (policy.names == "visible") != (self.names == "visible"):
            return "names are visible in one of the two only"
        if policy.block:
            blocked = {normal(name) for name in policy.block}
            self.warmed.start()  # what it imports may need what is blocked
            for module in sorted(self.warmed.loaded):
                if not blocked.isdisjoint(within(module)):
                    return f"it has imported {module}, which the policy blocks"
        return why_not(policy, self.warmed.tier)

    def guest(
        self, policy: Policy, program: Program, tell: Callable[[Denial, Status], None]
    ) -> Guest:
        """A guest that waits for its first request, as of `cold.start`."""
        self._check_open()
        if reason := self.serves(policy, program.python):
            raise PolicyError("template", f"{reason}; leave the template out")
        program = program.replace(python=self.python)
        try:
            pool = ready.pool()
        except OSError:  # without procfs none can be kept
            return cold.start(policy, program, tell, self.warmed)
        guest = pool.take(policy, program, tell, self.warmed, self.ready)
        if guest is None:
            guest = cold.start(policy, program, tell, self.warmed)
        guest.first = pool.work
        return guest


def _end(warmed: Warmed, shown: image.Image) -> None:
    ready.drop(warmed)
    warmed.close()
    shown.__exit__(None, None, None)


_shared: dict[tuple[str | None, str], Template] = {}
_locks = [threading.Lock()]


def shared(policy: Policy, python: str | None) -> Template | None:
    """The template of sandboxes that name none; None where it cannot serve this policy."""
    key = python, "visible" if policy.names == "visible" else "auto"
    with _locks[0]:
        one = _shared.get(key)
        if one is None:
            if why_not(policy, probe(cache_directory()).tier):
                return None
            one = _shared[key] = Template(python=python, names=key[1])
    return one if not one.serves(policy, python) else None


def _in_child() -> None:
    """The parent's templates stay its own: `Warmed` starts others in this process."""
    _locks[:] = [threading.Lock()]


os.register_at_fork(after_in_child=_in_child)
