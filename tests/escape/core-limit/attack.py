import resource

from arms import attempt


@attempt
def deed():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core_pattern pipe runs all the same
    return resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
