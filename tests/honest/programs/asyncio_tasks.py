# flags:
# prints: ['a', 'b', 'c'] late PING 7
import asyncio
import socket


async def main():
    got, box = [], asyncio.Queue(1)

    async def give():
        for letter in "abc":
            await box.put(letter)

    async def take():
        for _ in range(3):
            got.append(await box.get())

    await asyncio.gather(give(), take())
    try:
        await asyncio.wait_for(asyncio.sleep(5), 0.02)
        verdict = "early"
    except asyncio.TimeoutError:
        verdict = "late"
    one, other = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=one)
    far_reader, far_writer = await asyncio.open_connection(sock=other)
    writer.write(b"ping\n")
    far_writer.write((await far_reader.readline()).upper())
    answer = (await reader.readline()).decode().strip()
    writer.close()
    far_writer.close()
    return got, verdict, answer, await asyncio.to_thread(lambda: 7)


print(*asyncio.run(main()))
