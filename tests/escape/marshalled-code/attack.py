import marshal

from arms import attempt


@attempt
def deed():
    data = marshal.dumps(compile("print('EFFECT')", "x", "exec"))
    exec(marshal.loads(data))
