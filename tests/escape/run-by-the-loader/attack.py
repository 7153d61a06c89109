import glob
import shutil
import subprocess
import tempfile

from arms import P, attempt


@attempt
def deed():
    copy = tempfile.mkdtemp() + "/copy"
    shutil.copyfile(P["python"], copy)
    loader = (
        glob.glob("/lib64/ld-linux*")
        + glob.glob("/lib/ld-linux*")
        + ["/lib64/ld-linux-x86-64.so.2"]
    )[0]
    done = subprocess.run([loader, copy, "-I", "-S", "-c", "print('EFFECT')"])
    return False
