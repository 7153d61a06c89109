"""Run a program that confines itself, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

from tiers import Tier

#: How most programs here begin. `output` cannot be full in a process that runs already.
START = """
import belljar, ctypes, errno, json, os, socket, subprocess, sys, threading, time
ACCEPT = ["output"]
def confine(*policy, accept_partial=(), ledger="none", **more):
    return belljar.confine(
        *policy, accept_partial=[*ACCEPT, *accept_partial], ledger=ledger, **more)
def said(deed, *words):
    try:
        deed(*words)
    except OSError as error:
        return errno.errorcode.get(error.errno, type(error).__name__)
    except Exception as error:
        return type(error).__name__
    return "done"
def refusal(deed, *words, **more):
    try:
        deed(*words, **more)
    except (belljar.BelljarError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return ""
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
    ctypes.set_errno(0)
    result = getattr(libc, name)(*args)
    if result == -1:
        raise OSError(ctypes.get_errno(), name)
    return result
"""


def run(
    code: str, *words: str, tier: Tier | None = None, **more: object
) -> subprocess.CompletedProcess[str]:
    """What `code` printed, behind START, and how it ended."""
    command = [sys.executable, "-c", START + code, *words]
    if tier is not None:
        command = [*tier.enter(), tier.python, *command[1:]]
        more = {**more, **tier.identity, "env": tier.env, "cwd": tier.home}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, **more
    )  # fmt: skip


def printed(code: str, *words: str, **more: object) -> str:
    """The same, of a program that ends well."""
    done = run(code, *words, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout
