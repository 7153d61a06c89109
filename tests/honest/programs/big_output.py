# flags:
# compare: all
# prints: True
import sys

sys.stdout.write("".join(f"line {n}\n" for n in range(40_000)))
sys.stderr.write("e" * 100_000)
print("True")
