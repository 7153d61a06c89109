import subprocess

from arms import P, attempt


@attempt
def deed():
    subprocess.run(["/bin/cat", P["secret"]])
