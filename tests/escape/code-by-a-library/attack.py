import copyreg
import types

from arms import P, attempt


def reader(path):
    print(path)


@attempt
def deed():
    words = (
        "co_argcount co_posonlyargcount co_kwonlyargcount co_nlocals co_stacksize co_flags "
        "co_code co_consts co_names co_varnames co_filename co_name co_qualname "
        "co_firstlineno co_linetable co_exceptiontable co_freevars co_cellvars"
    ).split()
    code = compile("lambda path: print(open(path).read())", "x", "eval").co_consts[0]
    made = copyreg.__newobj__(types.CodeType, *(getattr(code, word) for word in words))
    reader.__code__ = made
    reader(P["secret"])
