# flags:
# prints: [0, 1, 4, 9, 16, 25]
from concurrent.futures import ThreadPoolExecutor

with ThreadPoolExecutor(4) as pool:
    print(list(pool.map(lambda n: n * n, range(6))))
