# flags:
# prints: from beside 42 True
import beside

print(beside.WHERE, beside.answer(), beside.__file__.endswith("beside.py"))
