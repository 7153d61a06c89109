# flags:
# prints: True True
# prints: True True
import cProfile
import io
import pstats
import timeit
import tracemalloc

profile = cProfile.Profile()
profile.runcall(sorted, range(1000))
text = io.StringIO()
pstats.Stats(profile, stream=text).sort_stats("cumulative").print_stats()
print("sorted" in text.getvalue(), timeit.timeit("1 + 1", number=1000) < 1)
tracemalloc.start()
kept = [bytes(1000) for _ in range(100)]
print(tracemalloc.get_traced_memory()[0] > 100_000, len(tracemalloc.take_snapshot().traces) > 10)
