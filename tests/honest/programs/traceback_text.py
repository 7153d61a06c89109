# flags:
# status: 1
# stderr: same
# prints:
def outer():
    inner({})


def inner(mapping):
    try:
        mapping["absent"]
    except KeyError as error:
        raise ValueError("no such thing") from error


outer()
