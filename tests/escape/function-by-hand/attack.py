import types

from arms import attempt


@attempt
def deed():
    made = types.FunctionType((lambda: say("EFFECT")).__code__, {"say": print})
    made()
