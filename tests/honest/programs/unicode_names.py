# flags: --read {data} --read {out} --write {out}
# args: {data} {out}
# prints: snow
# prints: ['ß ☃', 'новый']
import os
import sys
from pathlib import Path

data, out = map(Path, sys.argv[1:])
print((data / "unïcode ☃.txt").read_text())
(out / "ß ☃").write_text("x")
(out / "новый").mkdir()
(out / "новый" / "a").touch()
os.rename(out / "новый" / "a", out / "новый" / "b")
print(sorted(os.listdir(out)))
