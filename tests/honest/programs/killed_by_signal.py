# flags:
# status: -15
# prints: before
import os
import signal

print("before", flush=True)
os.kill(os.getpid(), signal.SIGTERM)
