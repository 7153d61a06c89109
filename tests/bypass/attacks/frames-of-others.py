"""Tracebacks and generators lead to the frames of whoever called, and to its globals (gh-86966)."""

import sys


def generator():
    yield running.gi_frame.f_back


frames = []
try:
    raise ValueError
except ValueError as error:
    frames.append(error.__traceback__.tb_frame)
running = generator()
frames.append(next(running))
for frame in frames:
    while frame is not None:
        if "enabled" in frame.f_globals:
            frame.f_globals["enabled"] = False
        frame = frame.f_back
open(sys.argv[1], "w").close()
