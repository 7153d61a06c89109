"""Which engine makes a guest: the one place that chooses. Nothing above depends on the choice."""

from __future__ import annotations

from belljar.errors import BelljarError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from belljar.confine.program import Program
    from belljar.model import Policy, Status
    from belljar.sandbox.live.guest import Guest
    from belljar.sandbox.result import Denial

#: What `engine=` may say. None leaves it to us.
ENGINES = ("cold",)


def start(
    policy: Policy, program: Program, tell: Callable[[Denial, Status], None], engine: str | None
) -> Guest:
    """A guest that waits for its first request, watched by nobody yet. Raises `BelljarError`."""
    if engine not in (None, *ENGINES):
        raise BelljarError(f"no engine {engine!a}; there are: {', '.join(ENGINES)}")
    from belljar.sandbox.live import cold

    return cold.start(policy, program, tell)
