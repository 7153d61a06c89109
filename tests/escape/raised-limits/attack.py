import resource

from arms import any_works, attempt


def raised(number):
    resource.setrlimit(number, (1 << 40, 1 << 40))  # as much as none, where there is none


@attempt
def deed():
    return any_works(
        *(
            lambda n=n: raised(n)
            for n in (
                resource.RLIMIT_DATA,
                resource.RLIMIT_AS,
                resource.RLIMIT_CPU,
                resource.RLIMIT_FSIZE,
            )
        )
    )
