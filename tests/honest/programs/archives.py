# flags: --read {data} --write {out} --read {out}
# args: {data} {out}
# prints: ['lines.txt', 'sales.csv'] a
# prints: ['lines.txt', 'sales.csv'] a
# prints: True True True
import bz2
import gzip
import lzma
import sys
import tarfile
import zipfile
from pathlib import Path

data, out = map(Path, sys.argv[1:])
with zipfile.ZipFile(out / "a.zip", "w", zipfile.ZIP_DEFLATED) as pack:
    for name in ("lines.txt", "sales.csv"):
        pack.write(data / name, name)
with zipfile.ZipFile(out / "a.zip") as pack:
    print(sorted(pack.namelist()), pack.read("lines.txt").decode()[0])
with tarfile.open(out / "a.tar.gz", "w:gz") as pack:
    for name in ("lines.txt", "sales.csv"):
        pack.add(data / name, name)
with tarfile.open(out / "a.tar.gz") as pack:
    safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # from 3.11.4
    pack.extractall(out / "unpacked", **safe)
    print(sorted(pack.getnames()), (out / "unpacked/lines.txt").read_text()[0])
print(*(m.decompress(m.compress(b"x" * 999)) == b"x" * 999 for m in (gzip, bz2, lzma)))
