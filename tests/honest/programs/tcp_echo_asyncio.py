# flags: --connect 127.0.0.1:{port}
# args: {port}
# prints: ['0', '1', '2', '3', '4']
import asyncio
import sys


async def ask(n):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
    writer.write(f"{n}\n".encode())
    answer = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return answer.decode().strip()


async def main():
    return await asyncio.gather(*(ask(n) for n in range(5)))


print(asyncio.run(main()))
