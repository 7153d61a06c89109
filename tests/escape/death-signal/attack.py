from arms import attempt, native


@attempt
def deed():
    native("prctl", 1, 0, 0, 0, 0)  # PR_SET_PDEATHSIG: not to die with init
    return True
