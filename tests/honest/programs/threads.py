# flags:
# prints: 4950 20
import queue
import threading

lock, total, jobs = threading.Lock(), [0], queue.Queue()


def work():
    while (n := jobs.get()) is not None:
        with lock:
            total[0] += n


workers = [threading.Thread(target=work) for _ in range(20)]
for worker in workers:
    worker.start()
for n in range(100):
    jobs.put(n)
for _ in workers:
    jobs.put(None)
for worker in workers:
    worker.join()
print(total[0], len(workers))
