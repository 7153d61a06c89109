import resource

from arms import P, any_works, attempt


@attempt
def deed():
    return any_works(
        lambda: resource.prlimit(P["pid"], resource.RLIMIT_NOFILE, (99, 99)),
        lambda: resource.prlimit(P["pid"], resource.RLIMIT_CPU),
    )
