# flags: --processes 8
# prints: fork [0, 1, 4, 9] [0, 1, 4, 9] sent 3
# prints: spawn [0, 1, 4, 9] [0, 1, 4, 9] sent 3
# prints: forkserver [0, 1, 4, 9] [0, 1, 4, 9] sent 3
import multiprocessing
from concurrent.futures import ProcessPoolExecutor


def square(number):
    return number * number


def send(queue, lock):
    with lock:
        queue.put("sent")


def main(method):
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        mapped = pool.map(square, range(4))
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        again = list(pool.map(square, range(4)))
    queue, lock = context.Queue(), context.Lock()
    child = context.Process(target=send, args=(queue, lock))
    child.start()
    said = queue.get(timeout=20)
    child.join(20)
    ended = context.Process(target=raise_status)
    ended.start()
    ended.join(20)
    print(method, mapped, again, said, ended.exitcode, flush=True)


def raise_status():
    raise SystemExit(3)


if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        main(method)
