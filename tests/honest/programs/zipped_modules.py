# flags: --read {out} --write {out}
# args: {out}
# prints: 42 True
import sys
import zipfile

path = f"{sys.argv[1]}/library.zip"
with zipfile.ZipFile(path, "w") as file:
    file.writestr("zipped/__init__.py", "from .inner import value\n")
    file.writestr("zipped/inner.py", "value = 6 * 7\n")
sys.path.insert(0, path)
import zipped

print(zipped.value, zipped.__file__.endswith("library.zip/zipped/__init__.py"))
