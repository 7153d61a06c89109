import os
import signal

from arms import any_works, attempt, neighbour

signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # inside, a neighbour's number may be one's own


@attempt
def deed():
    pid = neighbour["pid"]
    pids = range(1, 8) if os.getpid() < 8 else [pid]  # outside only the one that is ours to signal
    any_works(*(lambda p=p: os.kill(p, signal.SIGUSR1) for p in pids))
