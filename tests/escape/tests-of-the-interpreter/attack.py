from arms import attempt


@attempt
def deed():
    import _testcapi

    return bool(_testcapi)
