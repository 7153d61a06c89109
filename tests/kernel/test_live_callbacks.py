"""Host functions and the threads on both sides that wait for them."""

from __future__ import annotations

import threading

import belljar

LONG = 60.0  # seconds; this machine may do much else

#: Sends a question of the guest's together with the answer to the run.
TOGETHER = """
peer = host._side._peer
from struct import pack
import sys
dumps = type(peer)._fitting.__globals__["dumps"]

def write(data, sent, real=peer._write):
    if data[4] == 2:
        body = dumps((1, "mark", (), {}))
        data += pack("<IBIIB", 1 + len(body), 1, peer._last + 1, 0, 64) + body
        del peer._write
    real(data, sent)

host.told
peer._write = write
"""


def test_a_question_that_came_together_with_an_answer_is_heard() -> None:
    heard = threading.Event()
    with belljar.Sandbox(ledger="none") as box:
        box.share("told", functions={"mark": lambda: heard.set()})
        assert box.run(TOGETHER).check().ended_by == "exit"
        assert heard.wait(LONG)
