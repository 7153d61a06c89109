# flags: --processes 8
# prints: before the children
# prints: 0 None ['process_fresh.py']
# prints: the parent is seen to end
import multiprocessing
import os
import sys

STATE = []


def child(pipe):
    import beside

    pipe.send((len(STATE), getattr(beside, "CHANGED", None), [os.path.basename(sys.argv[0])]))


def waits(pipe):
    grandchild = multiprocessing.get_context("spawn").Process(target=outlives, args=(pipe,))
    grandchild.start()
    pipe.send("started")
    os._exit(0)


def outlives(pipe):
    multiprocessing.parent_process().join(20)
    pipe.send("seen" if not multiprocessing.parent_process().is_alive() else "missed")


if __name__ == "__main__":
    import beside

    print("before the children")  # in the buffer of a pipe when they start
    STATE.append(1)
    beside.CHANGED = True
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    one = context.Process(target=child, args=(theirs,))
    one.start()
    print(*ours.recv())
    one.join(20)
    two = context.Process(target=waits, args=(theirs,))
    two.start()
    assert ours.recv() == "started"
    two.join(20)
    assert ours.poll(20) and ours.recv() == "seen"
    print("the parent is seen to end")
