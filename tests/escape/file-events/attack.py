from arms import attempt, call


@attempt
def deed():
    return call("fanotify_init", 0x200, 0) >= 0
