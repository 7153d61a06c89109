from arms import attempt


@attempt
def deed():
    import numpy

    return numpy.arange(3).sum() == 3
