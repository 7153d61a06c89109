import multiprocessing
import os
import sys

from arms import P, any_works, attempt


def again():
    os.execv(P["python"], ["python", "-I", "-S", "-c", "print('EFFECT')"])


def spawned():
    pid = os.posix_spawn(P["python"], ["python", "-I", "-S", "-c", "print('EFFECT')"], {})
    if os.waitpid(pid, 0)[1]:
        raise PermissionError(13, "it did not start")


@attempt
def deed():
    assert multiprocessing.get_start_method() and sys.executable
    return any_works(spawned, again)
