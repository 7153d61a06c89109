# flags: --bind 127.0.0.1:0 --connect 127.0.0.1:*
# prints: 200 b'page /x'
# prints: 200 b'page /y'
# prints: b'ECHO' 127.0.0.1
import asyncio
import http.server
import threading
import urllib.request


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"page " + self.path.encode())

    def log_message(self, *args):
        pass


with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    for path in ("/x", "/y"):
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}{path}") as answer:
            print(answer.status, answer.read())
    server.shutdown()
    thread.join()


async def main():
    async def one(reader, writer):
        writer.write((await reader.read(100)).upper())
        writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"echo")
    print(await reader.read(), host)
    writer.close()
    server.close()


asyncio.run(main())
