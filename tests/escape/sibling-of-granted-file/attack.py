from arms import P, attempt


@attempt
def deed():
    print(open(P["other"] + "/victim.txt").read())
