"""Write the shipped rules as Python, so that no watched program waits for TOML to be parsed.

`src/belljar/policy/rules/*.toml` are what people read and change; `tests/shape/test_rule_set.py`
says when this has to be run again: `python tools/shipped_rules.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
try:
    from belljar.model import Rule
except ImportError:  # not installed: from the sources
    sys.path.insert(0, str(ROOT / "src"))
    from belljar.model import Rule

from belljar.policy.rulefile import parse_shipped  # noqa: E402

TARGET = ROOT / "src" / "belljar" / "policy" / "shipped.py"
HEAD = '''"""The shipped rules, made by tools/shipped_rules.py from rules/*.toml: edit those."""

from __future__ import annotations

from belljar.model import Rule

# fmt: off
'''


def spelled(rule: Rule, indent: str = "") -> str:
    """The rule as an expression, without what is at its default."""
    lines = []
    for name in Rule.__fields__:
        value, usual = getattr(rule, name), getattr(Rule, name)
        if value == usual:
            continue
        if isinstance(value, Rule):
            text = spelled(value, indent + "    ")
        elif isinstance(value, tuple) and len(repr(value)) > 80:
            inner = "".join(f"\n{indent}        {item!r}," for item in value)
            text = f"({inner}\n{indent}    )"
        else:
            text = repr(value)
        lines.append(f"\n{indent}    {name}={text},")
    return f"Rule({''.join(lines)}\n{indent})"


def page() -> str:
    """The whole module."""
    rules = "".join(f"    {spelled(rule, '    ')},\n" for rule in parse_shipped())
    return f"{HEAD}SHIPPED: tuple[Rule, ...] = (\n{rules})\n"


if __name__ == "__main__":
    TARGET.write_text(page(), "utf-8")
