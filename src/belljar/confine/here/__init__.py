"""`belljar.confine()`: restrict this very process, for good.

Everything is looked up, tried and recorded first; the walls come last, in one call of C. Until
then a failure is an exception and nothing has changed; a wall that fails half way ends the process
with one line and status 125, for half a confinement would pass for a whole one.
"""

from __future__ import annotations

import os
import sys

from belljar.confine.here import plan as here_plan
from belljar.confine.here import status as here_status
from belljar.errors import BelljarError, PolicyError, Unenforceable
from belljar.model import Policy, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final, Protocol

    from belljar.confine.here.held import Held
    from belljar.confine.here.plan import Plan
    from belljar.confine.probe import Facts
    from belljar.confine.runtime import Runtime
    from belljar.model import Status

    class HasFileno(Protocol):
        """A file, a socket: what has a descriptor."""

        def fileno(self) -> int: ...


_THREADS: Final = 8  # the Landlock ABI that takes all threads at once
_granted: list[dict[str, str]] = []


class _First(Value):
    """What the first call saw: behind its walls it cannot be asked again."""

    runtime: Runtime
    facts: Facts
    held: Held


#: Of this process or the one that it was forked from: the walls are inherited, too.
_first: list[_First] = []


def confine(
    policy: Policy | str | os.PathLike[str] | None = None,
    *,
    accept_partial: Iterable[str] = (),
    keep_fds: Iterable[int | HasFileno] = (),
    close_fds: bool = False,
    **grants: object,
) -> Status:
    """Restrict this process to `policy`, for good, and return the receipt of what holds.

    `policy` is a `Policy` or the file of one; `grants` are its keys as keywords (`read=["data/"]`,
    `memory="1GiB"`), added to it. Limits count from here. Besides the grants it can read what its
    interpreter imports: the standard library, the environment's packages, system libraries.

    `accept_partial` names protections that may be less than full; `output` is always one. Open
    descriptors but 0 to 2 must be in `keep_fds` (numbers or files), closed by `close_fds`, or
    accepted (`descriptors`). Other threads refuse (`existing-threads`). Calling again narrows
    further: what both calls grant remains.

    Raises `PolicyError` for a policy that cannot be had here, `Unenforceable` for a protection that
    would be less than it must be, `LedgerError` where the record cannot be kept; nothing is changed
    then. Once the walls begin to stand, a failure ends the process with status 125.

    >>> belljar.confine(read=["/srv/data"], accept_partial=["output"])  # doctest: +SKIP
    Status(tier='process', protections=(Protection(name='files', level='full', ...
    """
    from belljar._native import confine_apply, landlock_abi
    from belljar.confine.here import held as holding
    from belljar.confine.here.record import record
    from belljar.confine.here.trial import cannot, try_out
    from belljar.confine.runtime import describe
    from belljar.confine.status import enforce
    from belljar.confine.view import special_mounts

    accepted = accept_partial if isinstance(accept_partial, str) else list(accept_partial)
    full = _policy(policy, {**grants, "accept_partial": accepted})
    keep = frozenset(_number(one) for one in keep_fds)
    here_plan.check(full)
    if not landlock_abi():
        raise Unenforceable(
            "files", "the kernel gives no Landlock here",
            "use Linux 5.13 or newer, outside of other sandboxes",
        )  # fmt: skip
    if not sys.executable:
        raise BelljarError("cannot confine: this interpreter does not know its own program")
    first = _first[0] if _first else None
    runtime = first.runtime if first else describe(sys.executable)
    special_mounts()  # read once: a second call cannot
    plan = here_plan.make(full, runtime)
    held = holding.look_again(first.held) if first else holding.look(plan.view.land)
    sync = bool(held.threads) and not first and landlock_abi() >= _THREADS
    sync = sync and not holding.capable_threads()
    kept = here_status.Kept(held, keep, close_fds, again=bool(first))
    bounds = here_plan.bounds(full, again=bool(first))
    facts = first.facts if first else try_out(plan)
    receipt = here_status.receipt(full, plan, facts, held, kept, sync)
    enforce(full, receipt, here_status.HERE_NAMES, here_status.MUST, 'accept_partial=["{}"]')
    if not first:  # the second time the ledger is out of reach
        record(full, runtime, receipt)
    outside = _outside(plan)
    words = here_plan.applied(plan, _extra(full, kept), bounds)
    if not holding.still(held, bool(first)):
        raise BelljarError("cannot confine: threads began or ended meanwhile; call it again")
    try:
        confine_apply(words, sync)
    except OSError as error:
        raise cannot(error) from None
    for fd in kept.to_close:
        os.closerange(fd, fd + 1)  # raises nothing: there is no way back
    if not first:
        _first.append(_First(runtime, facts, held))
    _granted.append(plan.view.land)
    _narrowed(outside)
    _explain(plan)
    return receipt


def _explain(plan: Plan) -> None:
    """The window: refusals of files say why. The walls stand without it."""
    from belljar._native import RECORDER, open_window

    try:
        open_window(RECORDER, plan.view.window_text().encode("utf-8", "surrogateescape"))
    except Exception as error:  # noqa: BLE001 (an audit hook of the program may raise anything)
        import warnings

        warnings.warn(f"belljar: refusals are not explained: {error}", stacklevel=3)


def _policy(policy: object, keywords: dict[str, object]) -> Policy:
    from belljar.policy.keywords import base, from_keywords

    return from_keywords(base(policy), keywords, os.getcwd())


def _number(one: int | HasFileno) -> int:
    try:
        fd = one if isinstance(one, int) else one.fileno()
        os.fstat(fd)
    except (OSError, ValueError):
        raise PolicyError("keep_fds", f"{one!r} is not open") from None
    return fd


def _extra(policy: Policy, kept: here_status.Kept) -> tuple[str, ...]:
    words: tuple[str, ...] = ()
    if kept.listens:
        words += ("allow", "accept")
    if policy.limits.processes > 1:
        from belljar._native import landlock_abi

        if landlock_abi() >= 6:  # signals stay within the domain: this process and its children
            words += ("allow", "kill")
    if here_status.watched(policy):
        words += ("wall", str(max(1, int(policy.limits.wall * 1000))))
    return words


def _outside(plan: Plan) -> list[str]:
    """What an earlier call granted and this one does not: tried again afterwards."""
    from belljar.confine.sensitive import beneath

    before = {path for land in _granted for path in land}
    return [p for p in before if not any(beneath(p, new) for new in plan.view.land)]


def _narrowed(paths: list[str]) -> None:
    for path in paths:
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError:
            continue
        os.write(2, b"belljar: confine did not narrow this process, which ends\n")
        os._exit(125)
