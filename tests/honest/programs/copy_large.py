# flags: --read {data} --write {out} --read {out}
# args: {data} {out}
# prints: 8388608 True True 2
import filecmp
import shutil
import sys
from pathlib import Path

out = Path(sys.argv[2])
(out / "big").write_bytes(bytes(range(256)) * 32768)
shutil.copy2(out / "big", out / "copy")
shutil.copytree(sys.argv[1] + "/deep", out / "tree")
shutil.move(out / "copy", out / "moved")
print(
    (out / "moved").stat().st_size,
    filecmp.cmp(out / "big", out / "moved", shallow=False),
    (out / "big").stat().st_mtime_ns == (out / "moved").stat().st_mtime_ns,
    len(list((out / "tree").rglob("*"))),
)
shutil.rmtree(out / "tree")
