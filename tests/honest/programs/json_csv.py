# flags: --read {data}
# args: {data}
# prints: north 30
# prints: south 12
# prints: 2
import csv
import json
import sys
from collections import Counter
from pathlib import Path

data = Path(sys.argv[1])
totals = Counter()
with (data / "sales.csv").open(newline="") as file:
    for row in csv.DictReader(file):
        totals[row["region"]] += int(row["amount"])
for region, total in sorted(totals.items()):
    print(region, total)
print(len(json.loads((data / "config.json").read_text())["keys"]))
