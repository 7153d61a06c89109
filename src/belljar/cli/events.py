"""`belljar events [NAME]`: the catalogue of audit events.

Exit status: 0 shown, 1 no such event, 2 usage.
"""

from __future__ import annotations

import sys

from belljar.events.catalogue import BY_NAME, CATEGORIES, ROWS

USAGE = """\
usage: belljar events           every audit event, by category: name, right it needs, arguments
       belljar events NAME      one event, with what it does not tell
"""


def main(argv: list[str]) -> int:
    """Run `belljar events` with `argv` (without the words `belljar events`); the exit status.

    >>> main(["os.rename"])
    event      os.rename
    category   file
    arguments  src, dst, src_dir_fd, dst_dir_fd
    right      write on dst
    versions   all
    note       needs write on src too; os.replace raises it as well
    0
    """
    if argv[:1] in (["-h"], ["--help"]):
        print(USAGE, end="")
        return 0
    if not argv:
        return _table()
    if len(argv) == 1 and not argv[0].startswith("-"):
        return _one(argv[0])
    print(USAGE, end="", file=sys.stderr)
    return 2


def _table() -> int:
    wide = max(len(row[0]) for row in ROWS)
    for kind in CATEGORIES:
        print(kind)
        for name, args, right, _, category, _, _ in ROWS:
            if category == kind:
                print(f"  {name:<{wide}}  {right or '-':<8}  {args.replace(' ', ', ')}".rstrip())
    return 0


def _one(name: str) -> int:
    row = BY_NAME.get(name)
    if row is None:
        from difflib import get_close_matches

        from belljar.report.text import printable

        near = get_close_matches(name, BY_NAME, 3, 0.5)
        hint = f"; near: {', '.join(near)}" if near else ""
        print(f"belljar: no event {printable(name)} in the catalogue{hint}", file=sys.stderr)
        return 1
    _, args, right, target, category, versions, note = row
    names = args.split()
    need = right or "none"
    if right and target >= 0:
        need += f" on {names[target]}"
    print(f"event      {name}")
    print(f"category   {category}")
    print(f"arguments  {', '.join(names) or 'none'}")
    print(f"right      {need}")
    print(f"versions   {versions or 'all'}")
    if note:
        print(f"note       {note}")
    return 0
