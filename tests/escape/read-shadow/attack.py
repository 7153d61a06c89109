from arms import attempt


@attempt
def deed():
    return "root:" in open("/etc/shadow").read()
