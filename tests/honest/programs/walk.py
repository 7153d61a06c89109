# flags: --read {data}
# args: {data}
# prints: config.json deep deep/er deep/er/leaf.txt lines.txt sales.csv unïcode ☃.txt
# prints: 3
import glob
import os
import sys
from pathlib import Path

root = Path(sys.argv[1])
print(*sorted(p.relative_to(root).as_posix() for p in root.rglob("*")))
print(len(list(os.walk(root))), end="\n")
assert sorted(glob.glob("**/*.txt", root_dir=root, recursive=True))[0] == "deep/er/leaf.txt"
