# flags: --connect 127.0.0.1:{http}
# args: {http}
# prints: 200 application/json b'{"answer": 42}'
# prints: 200 application/json b'{"answer": 42}'
# prints: 200 application/json b'{"answer": 42}'
import http.client
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
for _ in range(3):
    connection.request("GET", "/answer", headers={"Accept": "application/json"})
    reply = connection.getresponse()
    print(reply.status, reply.getheader("content-type"), reply.read())
connection.close()
