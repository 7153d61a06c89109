# flags: --connect 127.0.0.1:{http}
# args: {http}
# prints: 200 {'answer': 42}
# prints: 100000
# prints: 404
import json
import sys
import urllib.error
import urllib.request

base = f"http://127.0.0.1:{sys.argv[1]}"
with urllib.request.urlopen(f"{base}/answer") as reply:
    print(reply.status, json.load(reply))
request = urllib.request.Request(f"{base}/echo", data=b"x" * 100_000, method="POST")
with urllib.request.urlopen(request) as reply:
    print(len(reply.read()))
try:
    urllib.request.urlopen(f"{base}/missing")
except urllib.error.HTTPError as error:
    print(error.code)
    error.close()
