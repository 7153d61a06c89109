"""`belljar apply`: what guests changed beneath an `--overlay`: list, show, merge, drop.

What is shown was named by a guest: it is escaped. Exit status: 0 done; 1 something is in the way
(conflicts, refused entries stay); 2 usage.
"""

from __future__ import annotations

from belljar.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from belljar.confine.overlay.changes import Change
    from belljar.confine.overlay.merge import Pending, Store

_SWITCHES = ("merge", "drop", "links", "force", "json")
_MARKS = {"added": "A", "changed": "M", "mode": "P", "deleted": "D", "refused": "!"}
USAGE = """\
belljar apply                      what waits, the oldest first
belljar apply NAME|last            its changes
belljar apply NAME|last --merge    take them over
belljar apply NAME|last --drop     forget them

  --links   also links that lead out of the directory
  --force   also what the host changed after the run began
  --json    one object a line

A added, M changed, P permissions, D deleted, ! never taken over. RUNS: something outside may
execute or obey it. LATER: the host changed it after the run began."""


def main(argv: list[str]) -> int:
    """Run `belljar apply` with `argv`."""
    if argv and argv[0] in ("--help", "-h"):
        print(USAGE)
        return 0
    switches = {word[2:] for word in argv if word.startswith("--")}
    names = [word for word in argv if not word.startswith("-")]
    known = {f"--{name}" for name in _SWITCHES}
    for word in argv:
        if word.startswith("-") and word not in known:
            raise UsageError(f"apply: no option {word}; see belljar apply --help")
    if {"merge", "drop"} <= switches or len(names) > 1:
        raise UsageError("apply: one name, and one of --merge, --drop; see belljar apply --help")
    from belljar.confine.overlay.merge import Pending, drop, find, stores

    if not names:
        if switches - {"json"}:
            raise UsageError("apply: of which? belljar apply lists what waits")
        _list(stores(), "json" in switches)
        return 0
    store = find(names[0])
    if "drop" in switches:
        drop(store)
        print(f"dropped: {store.name}")
        return 0
    with Pending(store, links="links" in switches) as pending:
        changes = pending.changes()
        if "merge" not in switches:
            for change in changes:
                _show(change, "json" in switches)
            if not changes and "json" not in switches:
                print("no changes")
            return 0
        left = _merge(pending, changes, switches)
    if left:
        return 1
    drop(store)
    return 0


def _merge(pending: Pending, changes: list[Change], switches: set[str]) -> bool:
    from belljar.report.text import say

    later = [change for change in changes if change.later]
    if later and "force" not in switches:
        for change in later:
            _show(change, "json" in switches)
        say("belljar: nothing taken over: the host changed these after the run began (--force)")
        return True
    count = pending.merge(
        lambda change: _show(change, "json" in switches), force="force" in switches
    )
    refused = sum(change.kind == "refused" for change in changes)
    if refused:
        say(f"belljar: {count} changes taken over; {refused} refused, which wait (--drop)")
    return bool(refused)


def _list(waiting: list[Store], as_json: bool) -> None:
    from datetime import UTC, datetime

    from belljar.report.text import printable

    for store in waiting:
        when = datetime.fromtimestamp(store.started // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if as_json:
            _print({"name": store.name, "directory": store.directory, "started": when})
        else:
            print(f"{store.name:<12} {when} {printable(store.directory)}")


def _show(change: Change, as_json: bool) -> None:
    if as_json:
        _print({name: getattr(change, name) for name in change.__fields__})
        return
    from belljar.report.text import printable

    path = printable(change.path) + ("/" if change.what == "directory" else "")
    what = "" if change.what in ("file", "directory") else f" {change.what}"
    notes = [printable(change.detail)] if change.detail else []
    notes += ["RUNS"] * change.runs + ["LATER"] * change.later
    print(f"{_MARKS[change.kind]} {path}{what}{'  ' if notes else ''}{', '.join(notes)}")


def _print(fields: dict[str, object]) -> None:
    import json

    print(json.dumps(fields))
