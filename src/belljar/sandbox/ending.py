"""The first entry of a run's record, words for what never began, and how a run ended."""

from __future__ import annotations

import os

from belljar.errors import BelljarError, InternalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from belljar.confine.cgroup import Group
    from belljar.confine.plan import Plan
    from belljar.confine.program import Program
    from belljar.model import Limits, Policy, Status
    from belljar.sandbox.judge import Judge
    from belljar.sandbox.result import Result, Usage
    from belljar.sandbox.walls import Walls

_SIGXCPU, _SIGKILL = 24, 9


def did_not_start(ended: tuple[int, float, float, int] | None) -> BelljarError:
    """The error for a guest that ended before its recorder reported."""
    if ended is None:
        return InternalError("the sandbox ended before its recorder reported")
    how = f"signal {ended[0] & 0x7F}" if ended[0] & 0x7F else f"exit status {ended[0] >> 8}"
    return BelljarError(f"the interpreter did not start inside the sandbox ({how}); nothing ran")


def plain(text: object) -> str:
    """Text that can be encoded, whatever a path holds."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")


def opening(
    policy: Policy, program: Program, plan: Plan, full: Policy, receipt: Status
) -> dict[str, object]:
    """Its body; `full` is the policy with what the runtime itself was granted."""
    from belljar.policy import digest, explain, to_plain

    return {
        "kind": "run",
        "guest": plain(program.name),
        "program": [program.kind, plain(program.target)],
        "argv": [plain(a) for a in program.args],
        "cwd": plain(program.cwd),
        "python": plan.runtime.version,
        "interpreter": plain(plan.runtime.program),
        "policy": [[plain(text) for text in row] for row in explain(policy)],
        "policy-digest": digest(policy),
        "effective": to_plain(full),  # what `belljar why` explains denials by
        "mapped": [[plain(name) for name in pair] for pair in plan.mapped],
        "tier": receipt.tier,
        "status": [[r.name, r.level, r.by, r.reason] for r in receipt.protections],
        "uid": os.geteuid(),
        "pid": os.getpid(),
    }


def result_of(
    walls: Walls, ended: str, status: int, signal: int, usage: Usage, reason: str = ""
) -> Result:
    """The last word of a run, into its record and as a result."""
    walls.end_record(ended, status, signal, usage)
    return outcome(walls, walls.judge, ended, status, signal, usage, reason)


def outcome(
    walls: Walls, judge: Judge, ended: str, status: int, signal: int, usage: Usage, reason: str
) -> Result:
    """The result, of whose events `judge` has judged."""
    from belljar.sandbox.result import Result

    record = walls.record
    return Result(
        status, ended, walls.receipt, usage, signal, tuple(judge.denials),
        tuple(judge.alerts), judge.repeated, walls.missed,
        record.directory if record is not None else None, walls.run_id.hex(),
        record.unkept if record is not None else 0, walls.planted,
        tuple(walls.overlays.waiting), reason=reason,
    )  # fmt: skip


def how(
    ended_by: str,
    wait: tuple[int, float, float, int] | None,
    limits: Limits,
    wall: float,
    group: Group | None,
) -> tuple[str, int, int]:
    """Why a guest ended, as what status, by which signal: `ended_by` is our own reason or empty,
    `wait` what init reported, `wall` how long it ran."""
    code, user, system, _ = wait or (_SIGKILL, 0.0, 0.0, 0)
    signal = code & 0x7F
    if wait is None and not ended_by and wall > limits.wall:
        ended_by = "wall"  # the keeper's clock was first
    lost = wait is None and not ended_by
    ended = ended_by or ("lost" if lost else "signal" if signal else "exit")
    used_up = user + system >= limits.cpu - 0.05
    if not ended_by and (signal == _SIGXCPU or (signal == _SIGKILL and used_up)):
        ended = "cpu"
    if group is not None and ended in ("signal", "lost") and group.killed():
        ended = "memory"
    status = {"wall": 124, "interrupt": 130, "reader": 141}.get(
        ended, 128 + signal if signal else code >> 8
    )
    if ended in ("output", "disk"):
        status = 128 + _SIGKILL
    return ended, status, signal
