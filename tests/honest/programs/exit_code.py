# flags:
# status: 3
# prints: leaving
import sys

print("leaving")
sys.exit(3)
