import subprocess

from arms import P, attempt


@attempt
def deed():
    subprocess.run([P["python"], "-I", "-S", "-c", "print('EFFECT')"])
