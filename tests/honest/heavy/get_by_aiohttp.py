# needs: aiohttp
# flags: --import aiohttp --connect 127.0.0.1:{http}
# args: {http}
# prints: 210
import asyncio
import sys

import aiohttp


async def main(base):
    async with aiohttp.ClientSession() as session:

        async def one():
            async with session.get(f"{base}/answer") as reply:
                return (await reply.json())["answer"]

        print(sum(await asyncio.gather(*(one() for _ in range(5)))))


asyncio.run(main(f"http://127.0.0.1:{sys.argv[1]}"))
