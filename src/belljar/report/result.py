"""The typed result of a run as JSON (`--result FILE`), schema 1, stable keys."""

from __future__ import annotations

import json

from belljar.report.receipt import as_json as receipt_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from belljar.sandbox.result import Denial, Result


def as_json(result: Result) -> str:
    """One line of ASCII JSON. It is the authority on how a run ended."""
    usage = result.usage
    return json.dumps(
        {
            "schema": 1,
            "status": result.status,
            "ended-by": result.ended_by,
            "signal": result.signal or None,
            "denials": [_denial(d) for d in result.denials],
            "alerts": [_denial(d) for d in result.alerts],
            "repeated": result.repeated,
            "missed": result.missed,
            "unkept": result.unkept,
            "usage": {
                "wall": round(usage.wall, 6),
                "user": usage.user,
                "system": usage.system,
                "peak-memory": usage.peak_memory,
                "output": usage.output,
                "events": usage.events,
            },
            "receipt": receipt_json(result.receipt),
            "planted": list(result.planted),
            "overlays": [{"directory": d, "name": n} for d, n in result.waiting],
            "ledger": result.ledger,
            "run": result.run_id,
        }
    )


def _denial(denial: Denial) -> dict[str, object]:
    frame = denial.event.stack[0] if denial.event.stack else None
    return {
        "right": denial.right,
        "target": denial.target,
        "asked": denial.event.asked,
        "event": denial.event.name,
        "because": denial.decision.because,
        "remedy": denial.decision.remedy or None,
        "rule": denial.decision.rule.origin if denial.decision.rule else None,
        "record": denial.number,
        "at": {"file": frame.file, "line": frame.line, "function": frame.function}
        if frame
        else None,
    }
