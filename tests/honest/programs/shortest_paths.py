# flags:
# prints: {'a': 0, 'b': 4, 'c': 3, 'd': 6}
# prints: 280571172992510140037611932413038677189525 deque([3, 4], maxlen=2)
import heapq
from collections import defaultdict, deque
from functools import lru_cache

graph = defaultdict(dict)
for a, b, w in (("a", "b", 7), ("a", "c", 3), ("c", "b", 1), ("b", "d", 2), ("c", "d", 8)):
    graph[a][b] = w
far, queue = {"a": 0}, [(0, "a")]
while queue:
    d, here = heapq.heappop(queue)
    for there, w in graph[here].items():
        if d + w < far.get(there, 99):
            far[there] = d + w
            heapq.heappush(queue, (d + w, there))
print(far)


@lru_cache
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


print(fib(200), deque(range(5), maxlen=2))
