import sys

from arms import P, attempt


@attempt
def deed():
    sys.addaudithook(lambda event, args: args)
    try:
        sys.audit("belljar.runtime", "/box/", "/")  # the recorder's own word
    except OSError:
        pass
    print(open(P["secret"]).read())
