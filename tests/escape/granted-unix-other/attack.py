import socket

from arms import P, any_works, attempt, native


def address(path):
    return b"\x01\x00" + path


@attempt
def deed():
    path = P["unix"].encode()
    folder, name = path.rsplit(b"/", 1)
    new = lambda: native("socket", socket.AF_UNIX, socket.SOCK_STREAM, 0)
    spelled = (
        path,
        folder + b"/./" + name,
        folder + b"//" + name,
        folder + b"/deep/../" + name,
        b"\0" + P["abstract"].encode(),
    )
    return any_works(
        *(
            lambda text=text: native("connect", new(), address(text), 2 + len(text))
            for text in spelled
        )
    )
