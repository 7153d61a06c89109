import os

from arms import P, attempt


@attempt
def deed():
    os.execv(P["python"], ["python", "-I", "-S", "-c", "print('EFFECT')"])
