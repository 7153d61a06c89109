# flags: --connect 127.0.0.1:1
# prints: ConnectionRefusedError
import socket

try:
    socket.create_connection(("127.0.0.1", 1), 2)
except OSError as error:
    print(type(error).__name__)
