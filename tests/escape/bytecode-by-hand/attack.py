import dis

from arms import attempt


def wild():
    return 1


@attempt
def deed():
    far = bytes((dis.opmap["EXTENDED_ARG"], 0x7F)) + bytes((dis.opmap["EXTENDED_ARG"], 0xFF)) * 2
    code = far + bytes((dis.opmap["LOAD_CONST"], 0xFF, dis.opmap["RETURN_VALUE"], 0))
    wild.__code__ = wild.__code__.replace(co_code=code)
    print("TRIED", flush=True)
    wild()
