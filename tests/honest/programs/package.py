# flags:
# form: module package.run
# args: x
# prints: package.run __main__ ['x'] inner data

