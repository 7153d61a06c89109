# needs: rich
# flags:
# prints: ┏━━━━━━┳━━━━━━━┓
# prints: ┃ Name ┃ Count ┃
# prints: ┡━━━━━━╇━━━━━━━┩
# prints: │ tea  │ 3     │
# prints: └──────┴───────┘
import io

from rich.console import Console
from rich.table import Table

table = Table("Name", "Count")
table.add_row("tea", "3")
console = Console(file=io.StringIO(), width=40, color_system=None)
console.print(table)
print(console.file.getvalue(), end="")
