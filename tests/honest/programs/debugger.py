# flags:
# prints: ['look', 'look'] 1
# prints: 1
"""Tracing, profiling and the debugger's machinery, which set `sys.settrace`."""

import cProfile
import sys
import trace

seen = []


def look():
    return 1


def follow(frame, event, argument):
    if frame.f_code.co_name == "look" and event in ("call", "return"):
        seen.append(frame.f_code.co_name)
    return follow


sys.settrace(follow)
answer = look()
sys.settrace(None)
print(seen, answer)


counted = trace.Trace(count=1, trace=0)
counted.runfunc(look)
print(len(counted.results().counts))
profile = cProfile.Profile()
profile.runcall(look)
assert profile.getstats()
