"""`belljar log show`: one entry with all its fields."""

from __future__ import annotations

from belljar.cli.log_text import entry_number, json_text, print_json, safe, when, with_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def arguments(parser: ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("number", type=entry_number, metavar="N", help="its number: 412 or '#412'")
    with_directory(parser)


def act(options: Namespace) -> int:
    """0; 1 where there is no such entry."""
    from belljar.ledger.entries import entry

    found = entry(options.directory, options.number)
    if options.json:
        print_json(found.plain())
        return 0
    fields = found.plain()
    fields.pop("data", None)
    fields["time"], fields["recorded"] = when(found.time), when(found.recorded)
    fields["entry"] = f"#{found.number}"
    for name, value in found.plain().get("data", {}).items():
        if name not in fields:
            fields[name] = value
        elif found.kind not in ("hello", "event", "bye"):
            fields[f"data.{name}"] = value
    width = min(20, max(len(name) for name in fields))
    for name, value in fields.items():
        text = value if isinstance(value, str) else json_text(value)
        lines = text.split("\n") if found.kind != "broken" else [text]
        print(f"{safe(name):{width}}  {safe(lines[0])}".rstrip())
        for more in lines[1:]:
            print(f"{'':{width}}  {safe(more)}".rstrip())
    return 0
