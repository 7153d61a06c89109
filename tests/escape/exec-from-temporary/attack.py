import os
import subprocess
import tempfile

from arms import attempt


@attempt
def deed():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "mine")
        with open(path, "w") as file:
            file.write("#!/bin/sh\necho EFFECT\n")
        os.chmod(path, 0o755)
        subprocess.run([path], check=True)
