"""Another guest, alive while the attack takes place: it makes what a neighbour could be found by.

What it cannot make (in a sandbox: nearly all of it) it leaves out. It ends with its standard input,
and takes away what it made.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import sys
import tempfile

P = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
kept, undo = [], []


def attempt(deed):
    with contextlib.suppress(OSError):
        deed()


def abstract():
    s = socket.socket(socket.AF_UNIX)
    s.bind(f"\0belljar-n-{P['nonce']}")
    s.listen()
    kept.append(s)


def by_path():
    s = socket.socket(socket.AF_UNIX)
    s.bind(P["out"] + "/neighbour.sock")
    undo.append(lambda: os.unlink(P["out"] + "/neighbour.sock"))
    s.listen()
    giving.append(s)


def loopback():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen()
    kept.append(s)
    facts["port"] = s.getsockname()[1]


def system_v():
    key = libc.shmget(int(P["nonce"]) % 10**9, 4096, 0o1666)
    if key >= 0:
        undo.append(lambda: libc.shmctl(key, 0, None))


def queue():
    numbers = (240, 241) if os.uname().machine == "x86_64" else (180, 181)
    name = f"belljar-n-{P['nonce']}".encode()
    if libc.syscall(numbers[0], name, 0o102, 0o666, None) >= 0:
        undo.append(lambda: libc.syscall(numbers[1], name))


signal.signal(signal.SIGUSR1, lambda *_: print("EFFECT", flush=True))
giving = []
room = ctypes.create_string_buffer(b"memory of a neighbour", 64)
temporary = tempfile.NamedTemporaryFile("w", prefix=f"belljar-{P['nonce']}-")  # noqa: SIM115
temporary.write("temporary")
temporary.flush()
facts = {
    "pid": os.getpid(),
    "port": 9,
    "temporary": temporary.name,
    "address": ctypes.addressof(room),
}
for deed in (abstract, by_path, loopback, system_v, queue):
    attempt(deed)
with open(P["out"] + "/neighbour.part", "w") as file:
    json.dump(facts, file)
os.rename(P["out"] + "/neighbour.part", P["out"] + "/neighbour.json")


def serve():
    while True:
        ready, _, _ = select.select([sys.stdin, *giving, *kept], [], [])
        if sys.stdin in ready:
            return
        for one in ready:
            peer, _ = one.accept()
            if one in giving:  # outside it has what the guest of a sandbox has not: the secret
                socket.send_fds(peer, [b"here"], [os.open(P["secret"], os.O_RDONLY)])
                peers.append(peer)
            else:
                print("EFFECT", flush=True)


peers = []
try:
    serve()
finally:
    for deed in undo:
        attempt(deed)
