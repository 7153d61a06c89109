from arms import any_works, attempt, native


@attempt
def deed():
    return any_works(
        lambda: native("prctl", 4, 1, 0, 0, 0),  # PR_SET_DUMPABLE
        lambda: native("prctl", 36, 1, 0, 0, 0),  # PR_SET_CHILD_SUBREAPER
        lambda: native("prctl", 1, 0, 0, 0, 0),  # PR_SET_PDEATHSIG
        lambda: native("prctl", 0x59616D61, -1, 0, 0, 0),  # PR_SET_PTRACER
        lambda: native("prctl", 28, 0, 0, 0, 0),  # PR_SET_SECUREBITS
        lambda: native("prctl", 33, 0, 0, 0, 0),  # PR_MCE_KILL
    )
