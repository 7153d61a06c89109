"""`Sandbox`: a live guest that is asked to run code, again and again, and keeps its variables."""

from __future__ import annotations

import os
import weakref

from belljar.confine import available
from belljar.confine.program import Program
from belljar.errors import BelljarError
from belljar.model import Policy
from belljar.policy.keywords import base, from_keywords
from belljar.sandbox.live.asking import Asking
from belljar.sandbox.live.birth import argv_source, check_words, modules_source
from belljar.sandbox.live.collecting import check as patterns
from belljar.sandbox.live.collecting import collect as collect_files
from belljar.sandbox.live.engine import start
from belljar.sandbox.live.narrowed import Narrowed, sandboxes_of
from belljar.sandbox.live.questions import Questions
from belljar.sandbox.live.streaming import Streaming, check_plain
from belljar.sandbox.live.supervisor import supervisor
from belljar.sandbox.live.telling import Teller

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Self

    from belljar.model import Status
    from belljar.sandbox.bridge.exposure import Exposure
    from belljar.sandbox.bridge.handles import Handle
    from belljar.sandbox.bridge.limits import Limit
    from belljar.sandbox.live.guest import Guest
    from belljar.sandbox.live.warm import Template
    from belljar.sandbox.result import Denial, Result, Usage

#: Whoever hears output as it comes wants it at the end of each line, and in its order.
_BY_LINES = (
    "(lambda out: (out.reconfigure(line_buffering=True), out.buffer.raw.hear()) and None)"
    "(__import__('sys').stdout)"
)


class Sandbox(Questions):
    """A guest of its own, under a policy, until it is closed, lost or ended by a limit.

    `policy` is a `belljar.Policy` or the path of a policy file; further keywords are keys of such a
    file (`read=["data/"]`, `memory="256M"`), added to it. `python` names an interpreter or virtual
    environment, `name` is what denials and the record call the guest, `argv` its `sys.argv`, `cwd`
    the directory it works in, `input` its standard input. `modules` are further modules, name ->
    source; `collect` names files for `collected`. `on_output(1 or 2, data)` is called with output
    as it comes, `on_denial` with each `Denial`, by a thread of this sandbox's; a call returns when
    they have heard all of it, and what they raise ends the guest. So are `stdout=` and `stderr=`
    where they are functions of one argument, and `stdin=` a function that gives the next piece.

    `limits.cpu` and `limits.wall` count for each call, host functions that it calls included;
    `limits.memory` is the guest's whole. What a call writes and does outside of any call belongs to
    the next result. Any number of threads may use one sandbox: their calls queue, while calls made
    from inside a host function of this sandbox run at once. After a fork, sandboxes are the
    parent's; the child gets `SandboxEnded`.

    Raises `PolicyError`, `Unenforceable` and other `BelljarError` where it cannot be had.

    >>> with belljar.Sandbox(read=["data/"]) as box:  # doctest: +SKIP
    ...     box.run("x = len(open('data/x.csv').read())")
    ...     box.eval("x * 2")
    """

    def __init__(
        self,
        policy: Policy | str | os.PathLike[str] | None = None,
        *,
        python: str | os.PathLike[str] | None = None,
        name: str = "",
        argv: Iterable[str] = (),
        modules: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        input: bytes | str | None = None,  # noqa: A002 - as subprocess calls it
        collect: Iterable[str] = (),
        on_output: Callable[[int, bytes], None] | None = None,
        on_denial: Callable[[Denial], None] | None = None,
        template: Template | None = None,
        engine: str | None = None,
        branches: int = 0,
        **grants: Any,
    ) -> None:
        streaming = Streaming(grants, on_output)
        check_words(argv, template)
        check_plain(on_denial=on_denial)
        policy = from_keywords(base(policy), grants).with_programs()
        if policy.extensions == "named":  # the bridge is made of this one
            policy = from_keywords(policy, {"import_": ["_struct"]})
        available.check(policy)
        interpreter = None if python is None else os.fspath(python)
        self._folder = os.path.abspath(cwd or os.getcwd())
        if not os.path.isdir(self._folder):
            raise BelljarError(f"cwd={self._folder}: there is no such directory")
        self._patterns = patterns(collect)
        given = modules_source(modules) if modules else ""
        if branches:
            from belljar.sandbox.live.branching import check

            branches = check(policy, branches)
        words = tuple(map(str, argv))
        program = Program("live", "", words, self._folder, (), interpreter, name, branches)
        teller = Teller()

        def told(denial: Denial, _receipt: Status) -> None:
            if on_denial is not None:
                teller.tell(on_denial, denial)

        with streaming.given(policy, input) as lent:
            guest = start(lent, program, told, engine, template)
        try:
            ready = guest.asking is not None
            self._take(guest, policy, name, (interpreter, engine), teller, streaming)
        except BaseException:  # an interrupt, say: nobody watches the guest, nobody would end it
            guest.end("closed")
            if guest not in supervisor().guests:
                guest.put_away()
            streaming.close()
            raise
        late = program.args if ready else ()  # the arguments of a ready one are those of nobody
        if given or streaming.listens or late:
            try:
                if late:
                    self._asking.value("run", (argv_source(late), "<argv>", "eval"), None)
                if streaming.listens:
                    self._asking.value("run", (_BY_LINES, "<lines>", "eval"), None)
                if given:
                    self._asking.value("run", (given, "<modules>", "exec"), None)
            except BaseException:
                self.close()
                raise

    def _take(
        self,
        guest: Guest,
        policy: Policy,
        name: str,
        inner: tuple[str | None, str | None],
        teller: Teller,
        streaming: Streaming,
    ) -> None:
        """Be the owner of a guest that waits for its first request."""
        self.policy = policy
        self.name = name
        self._inner = inner
        self._guest = guest
        self._asking = guest.asking or Asking(guest)
        guest.asking = None
        self._narrowed = Narrowed(guest)
        self._asking.objects.operations["narrow"] = self._narrowed
        self._asking.objects.operations["box"] = sandboxes_of(guest, self._narrowed, *inner)
        self._finalizer = weakref.finalize(self, _let_go, guest, os.getpid())
        self._finalizer.atexit = False  # the supervisor ends all at once
        guest.tells(teller)
        streaming.listen(guest, teller)
        supervisor().add(guest)
        streaming.feed(guest)
        self._streaming = streaming

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    # --- what is shared -------------------------------------------------------------------

    def share(
        self,
        name: str,
        obj: Any = None,
        *,
        methods: Iterable[str] = (),
        attributes: Iterable[str] = (),
        functions: Any = None,
        allow: Mapping[str, Callable[..., object]] | None = None,
        limits: Mapping[str, Limit] | None = None,
        returns: Mapping[str, Iterable[str] | Exposure] | None = None,
        messages: bool = False,
    ) -> Handle:
        """Let the guest use the listed methods and attributes of `obj`, or `functions`, as
        `host.<name>`; the handle narrows it and takes it back. docs/capabilities.md has all of it.

        >>> box.share("db", database, methods=["get"])  # doctest: +SKIP
        >>> box.eval("host.db.get('k')")  # doctest: +SKIP
        """
        return self._asking.objects.share(
            name, obj, methods=methods, attributes=attributes, functions=functions, allow=allow,
            limits=limits, returns=returns, messages=messages,
        )  # fmt: skip

    @property
    def shared(self) -> dict[str, Handle]:
        """Handles of what is shared, by name: in a branch also those of its parent's names."""
        return self._asking.objects.handles()

    def fork(
        self,
        *,
        name: str = "",
        on_output: Callable[[int, bytes], None] | None = None,
        on_denial: Callable[[Denial], None] | None = None,
        **limits: Any,
    ) -> Sandbox:
        """A branch: a sandbox of its own that goes on from here, with all variables as they are,
        and shares no memory with this one. It has the same grants, the same walls and record, and
        is asked, limited and ended by itself; also when this one has ended. `limits` are lower
        ones: `memory`, `cpu`, `wall`, `output`, `open_files`, `disk`. Where grants are named
        (`read=[...]`, `write`, `connect`...: paths as the guest has them), the branch keeps those
        alone, by `belljar.guest.narrow` (docs/narrow.md). docs/branches.md has it all.

        Raises `BelljarError` where the sandbox was not made with `branches`, or has as many;
        `GuestError` where threads run inside, or for a grant that there is not; `PolicyError` for
        a limit that is higher.

        >>> with belljar.Sandbox(branches=8) as box:  # doctest: +SKIP
        ...     box.run("state = expensive()")
        ...     tries = [box.fork(cpu=1) for _ in range(8)]
        """
        from belljar.sandbox.live import branching

        kept = {right: limits.pop(right) for right in branching.RIGHTS if right in limits}
        policy = branching.narrowed(self._narrowed.policy, limits)
        streaming = Streaming({}, on_output)
        teller = Teller()

        def told(denial: Denial) -> None:
            if on_denial is not None:
                teller.tell(on_denial, denial)

        guest = branching.make(self._asking, policy, told)
        made = Sandbox.__new__(Sandbox)
        made._folder, made._patterns = self._folder, ()
        try:
            made._take(guest, policy, name, self._inner, teller, streaming)
            made._narrowed.told = self._narrowed.told
            made._asking.objects.share_again(self._asking.objects)
            if streaming.listens:
                made._asking.value("run", (_BY_LINES, "<lines>", "eval"), None)
            if kept:
                made.call("belljar.guest:narrow", **kept)
        except BaseException:
            guest.end("closed")
            if guest not in supervisor().guests:
                guest.put_away()
            raise
        return made

    # --- the end --------------------------------------------------------------------------

    def interrupt(self) -> None:
        """End the guest at once, from any thread: a call that waits gets `ended_by="interrupt"`."""
        self._guest.end("interrupt")

    def close(self) -> None:
        """End the guest and free all that it had. Closing again does nothing."""
        self._guest.end("closed")
        if not supervisor().is_this_thread():
            self._guest.wait()
        self._streaming.close()
        self._asking.close()
        self._finalizer.detach()

    @property
    def ended_by(self) -> str:
        """What ended the guest, as in `Result.ended_by`; empty while it lives."""
        return self._guest.ended_by if self._guest.over.is_set() else ""

    @property
    def result(self) -> Result | None:
        """How the whole session ended, once it has: its last word in the record."""
        return self._guest.result

    @property
    def collected(self) -> dict[str, bytes]:
        """The files that `collect` names, by path, once the guest has ended. Links, pipes and
        devices are left out. Raises `BelljarError` beyond 1000 files or 64 MiB, and before the end.

        >>> with belljar.Sandbox(write=["out/"], collect=["out/*.csv"]) as box:  # doctest: +SKIP
        ...     box.run("open('out/a.csv', 'w').write('1,2')")
        >>> box.collected["out/a.csv"]  # doctest: +SKIP
        b'1,2'
        """
        if not self._guest.over.is_set():
            raise BelljarError("files are collected when the sandbox has ended: close it first")
        return collect_files(self._folder, self._patterns)

    @property
    def status(self) -> Status:
        """The receipt: every protection, as probed here for this sandbox; with a row `narrowed`
        where the guest has said that it gave up some of its grants (docs/narrow.md)."""
        return self._narrowed.status(self._guest.walls.receipt)

    @property
    def usage(self) -> Usage:
        """What the guest has used so far."""
        return self._guest.usage()

    def __repr__(self) -> str:
        state = self.ended_by or "live"
        return f"<Sandbox {self.name!a} {state}>" if self.name else f"<Sandbox {state}>"


def run(
    source: str,
    *,
    policy: Policy | str | os.PathLike[str] | None = None,
    check: bool = False,
    timeout: float | None = None,
    **grants: Any,
) -> Result:
    """Run `source` once, in a guest of its own: `Sandbox(policy, **grants).run(source)`, closed
    again. The result's `usage` is the guest's whole. Raises as `Sandbox` does, and with `check` as
    `Result.check`.

    >>> belljar.run("print(6 * 7)").stdout  # doctest: +SKIP
    b'42\\n'
    """
    with Sandbox(policy, **grants) as box:
        result = box.run(source, timeout=timeout)
    return result.check() if check else result


def _let_go(guest: Guest, owner: int) -> None:
    """The sandbox was lost. May run in any thread, in the middle of anything: so it takes no lock,
    and the supervisor does the rest."""
    if os.getpid() == owner:
        guest.end("closed")
