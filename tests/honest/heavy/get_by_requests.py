# needs: requests
# flags: --import requests --connect 127.0.0.1:{http}
# args: {http}
# denials: some
# prints: {'answer': 42}
# prints: 50000
# prints: 404
import sys

import requests

base = f"http://127.0.0.1:{sys.argv[1]}"
with requests.Session() as session:
    print(session.get(f"{base}/answer", timeout=5).json())
    print(len(session.post(f"{base}/echo", data=b"x" * 50_000, timeout=5).content))
    print(session.get(f"{base}/missing", timeout=5).status_code)
