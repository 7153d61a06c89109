import os

from arms import any_works, attempt, call


@attempt
def deed():
    return any_works(
        lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
        lambda: os.setpriority(os.PRIO_PROCESS, 0, -5),
        lambda: call("ioprio_set", 1, 0, 1 << 13),
    )
