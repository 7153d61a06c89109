# flags: --read {out} --write {out}
# args: {out}
# prints: 7 seven 7 7
"""Source is imported from a granted directory, from an archive, by path, and run as a program."""

import importlib.util
import os
import runpy
import sys
import zipfile

out = sys.argv[1]
with open(out + "/plugin.py", "w") as file:
    file.write("value = 7\n")
with zipfile.ZipFile(out + "/packed.zip", "w") as archive:
    archive.writestr("inside.py", "value = 'seven'\n")
sys.path[:0] = [out, os.path.join(out, "packed.zip")]
import inside  # noqa: E402
import plugin  # noqa: E402

spec = importlib.util.spec_from_file_location("again", out + "/plugin.py")
again = importlib.util.module_from_spec(spec)
spec.loader.exec_module(again)
print(plugin.value, inside.value, again.value, runpy.run_path(out + "/plugin.py")["value"])
