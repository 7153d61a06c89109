# denials: some
# needs: pip
# flags: --read {out} --write {out} --processes 8
# args: {out}
# prints: 0
# prints: 42 ['__pycache__', 'tiny-1.0.dist-info', 'tiny.py']
import os
import sys
import zipfile

out = sys.argv[1]
os.mkdir(f"{out}/index")
with zipfile.ZipFile(f"{out}/index/tiny-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("tiny.py", "ANSWER = 42\n")
    info = "tiny-1.0.dist-info"
    wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
    wheel.writestr(
        f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    wheel.writestr(f"{info}/RECORD", "")
from pip._internal.cli.main import main

words = ["install", "--quiet", "--no-index", "--disable-pip-version-check", "--no-cache-dir"]
print(main([*words, "--find-links", f"{out}/index", "--target", f"{out}/packages", "tiny"]))
sys.path.insert(0, f"{out}/packages")
import tiny

print(tiny.ANSWER, sorted(os.listdir(f"{out}/packages")))
