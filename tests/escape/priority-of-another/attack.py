import os

from arms import P, any_works, attempt


@attempt
def deed():
    return any_works(
        lambda: os.setpriority(os.PRIO_PROCESS, P["pid"], 19),
        lambda: os.sched_setaffinity(P["pid"], {0}),
        lambda: os.sched_setscheduler(P["pid"], os.SCHED_IDLE, os.sched_param(0)),
    )
