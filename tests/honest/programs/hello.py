# flags:
# prints: Hello, world
print("Hello, world")
