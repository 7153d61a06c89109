# flags:
# status: 5
# prints: before
print("before")
exit(5)
print("after")
