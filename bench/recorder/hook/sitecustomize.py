"""The rival of `bench/recorder`: an audit hook in Python that appends each event to a file as
JSON, as people write it by hand. BENCH_HOOK names the file; BENCH_FLUSH makes each line a write.
"""

import json
import os
import sys

if "BENCH_HOOK" in os.environ:
    _file = open(os.environ["BENCH_HOOK"], "a", encoding="utf-8")  # noqa: SIM115
    _flush = bool(os.environ.get("BENCH_FLUSH"))

    def _hook(event: str, args: tuple[object, ...]) -> None:
        try:
            _file.write(json.dumps([event, args], default=_name) + "\n")
            if _flush:
                _file.flush()
        except (ValueError, TypeError, RuntimeError):  # closed at the end; odd keys; re-entered
            return

    def _name(value: object) -> str:
        return type(value).__name__

    sys.addaudithook(_hook)
