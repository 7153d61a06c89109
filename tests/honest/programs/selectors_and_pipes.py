# flags:
# prints: ['pipe', 'socket']
# prints: 3
import os
import selectors
import socket
import threading

chooser = selectors.DefaultSelector()
r, w = os.pipe()
a, b = socket.socketpair()
chooser.register(r, selectors.EVENT_READ, "pipe")
chooser.register(a, selectors.EVENT_READ, "socket")
threading.Timer(0.02, lambda: (os.write(w, b"1"), b.send(b"2"))).start()
seen = set()
while len(seen) < 2:
    for key, _ in chooser.select(5):
        seen.add(key.data)
        chooser.unregister(key.fileobj)
print(sorted(seen))
fd = os.eventfd(3)
print(os.eventfd_read(fd))
chooser.close()
a.close()
b.close()
