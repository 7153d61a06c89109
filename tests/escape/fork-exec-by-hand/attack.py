import subprocess

from arms import attempt


@attempt
def deed():
    assert subprocess
    import _posixsubprocess

    return callable(_posixsubprocess.fork_exec)
