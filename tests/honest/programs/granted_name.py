# flags: --connect localhost:{port}
# args: {port}
# prints: by name
# prints: by asyncio
# prints: True
import asyncio
import socket
import sys

port = int(sys.argv[1])
with socket.create_connection(("localhost", port), timeout=5) as s:
    s.sendall(b"by name")
    print(s.recv(100).decode())


async def main():
    reader, writer = await asyncio.open_connection("localhost", port)
    writer.write(b"by asyncio")
    print((await reader.read(100)).decode())
    writer.close()
    await writer.wait_closed()


asyncio.run(main())
print("127.0.0.1" in {row[4][0] for row in socket.getaddrinfo("localhost", port)})
