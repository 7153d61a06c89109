"""Which engine makes a guest: the one place that chooses. Nothing above depends on the choice."""

from __future__ import annotations

from belljar.errors import BelljarError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from belljar.confine.program import Program
    from belljar.model import Policy, Status
    from belljar.sandbox.live.guest import Guest
    from belljar.sandbox.live.warm import Template
    from belljar.sandbox.result import Denial

#: What `engine=` may say. None leaves it to us.
ENGINES = ("template", "cold")


def start(
    policy: Policy,
    program: Program,
    tell: Callable[[Denial, Status], None],
    engine: str | None,
    template: Template | None = None,
) -> Guest:
    """A guest that waits for its first request, watched by nobody yet. Raises `BelljarError`."""
    if engine not in (None, *ENGINES):
        raise BelljarError(f"no engine {engine!a}; there are: {', '.join(ENGINES)}")
    if engine != "cold":
        from belljar.sandbox.live import warm

        template = template or warm.shared(policy, program.python)
        if template is not None:
            return template.guest(policy, program, tell)
        if engine == "template":
            from belljar.confine.cache import cache_directory
            from belljar.confine.probe import probe
            from belljar.confine.template import why_not

            reason = why_not(policy, probe(cache_directory()).tier)
            reason = reason or "it needs modules that the policy blocks"
            raise BelljarError(f"no guest can be forked from a template: {reason}")
    from belljar.sandbox.live import cold

    return cold.start(policy, program, tell)
