import os

from arms import P, attempt


@attempt
def deed():
    os.makedirs(P["out"] + "/.venv/bin")
    with open(P["out"] + "/.venv/bin/python", "w") as file:
        file.write(f'#!/bin/sh\necho changed > {P["other"]}/victim.txt\nexec {P["python"]} "$@"\n')
    os.chmod(P["out"] + "/.venv/bin/python", 0o755)
    os.chdir(P["out"])
    try:
        os.system(".venv/bin/python -c pass")
    except OSError:
        pass
