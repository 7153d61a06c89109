import socket

from arms import P, any_works, attempt


@attempt
def deed():
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(("127.0.0.1", P["full"]))
    try:
        s.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    s.setblocking(True)
    s.settimeout(2)
    data, to = [P["nonce"].encode()], ("127.0.0.1", P["tcp"])
    return any_works(
        lambda: s.sendmsg(data, [], socket.MSG_FASTOPEN, to),
        lambda: s.sendto(data[0], socket.MSG_FASTOPEN, to),
    )
