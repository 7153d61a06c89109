from arms import P, attempt


@attempt
def deed():
    print(open(P["data"] + "/deep/../../home/secret.txt").read())
