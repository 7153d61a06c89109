"""`belljar policy check FILE`, `explain FILE`, `schema`: a policy without running anything.

Exit status: 0 the policy is right, 1 it is not, 2 usage.
"""

from __future__ import annotations

import sys

from belljar.errors import PolicyError

USAGE = """\
usage: belljar policy check FILE      is the policy right? one line says what is not
       belljar policy explain FILE    every grant and setting, and where it was written
       belljar policy schema          the JSON schema of policy files

FILE is a policy file, or a pyproject.toml with a table [tool.belljar].
"""


def main(argv: list[str]) -> int:
    """Run `belljar policy` with `argv` (without the words `belljar policy`); the exit status.

    >>> main(["check", "no-such-policy.toml"])
    1
    """
    if {"-h", "--help"} & set(argv):
        print(USAGE, end="")
        return 0
    if argv == ["schema"]:
        return _schema()
    if len(argv) == 2 and argv[0] in ("check", "explain"):
        from belljar.report.text import printable

        try:
            return _explain(argv[1]) if argv[0] == "explain" else _check(argv[1])
        except PolicyError as error:
            print(f"belljar: {printable(str(error))}", file=sys.stderr)
            return 1
    print(USAGE, end="", file=sys.stderr)
    return 2


def _check(path: str) -> int:
    from belljar.confine import available
    from belljar.confine.view import View, add_grants
    from belljar.policy import digest, load
    from belljar.report.text import printable

    policy = load(path)
    available.check(policy)  # what `run` would refuse is not right, however well it is written
    add_grants(View(isolated=True), policy.grants)
    grants = f"{len(policy.grants)} grant{'' if len(policy.grants) == 1 else 's'}"
    print(f"ok: {printable(path)}: {grants}, digest {digest(policy)}")
    return 0


def _explain(path: str) -> int:
    from belljar.policy import explain, load
    from belljar.report.text import printable

    rows = [tuple(printable(cell) for cell in row) for row in explain(load(path))]
    first = max(len(row[0]) for row in rows)
    second = min(max(len(row[1]) for row in rows), 48)
    for what, value, origin in rows:
        print(f"{what:<{first}}  {value:<{second}}  {origin}")
    return 0


def _schema() -> int:
    import json

    from belljar.policy import json_schema

    print(json.dumps(json_schema(), indent=2))
    return 0
