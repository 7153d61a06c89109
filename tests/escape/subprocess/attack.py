import subprocess

from arms import attempt


@attempt
def deed():
    subprocess.run(["/bin/echo", "EFFECT"])
