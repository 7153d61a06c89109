# flags: --connect 127.0.0.1:{port}
# args: {port}
# prints: hello 127.0.0.1
# prints: True
import socket
import sys

with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5) as s:
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.sendall(b"hello")
    print(s.recv(100).decode(), s.getpeername()[0])
    s.sendall(b"x" * 100_000)
    s.shutdown(socket.SHUT_WR)
    got = 0
    while data := s.recv(65536):
        got += len(data)
    print(got == 100_000)
