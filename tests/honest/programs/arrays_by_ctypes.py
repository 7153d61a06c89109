# flags: --import numpy
# prints: [0 1 4] 6 int64
"""numpy uses ctypes for itself; the program does not."""

import numpy

squares = numpy.arange(3) ** 2
pointer = squares.ctypes.data_as
assert callable(pointer)
print(squares, numpy.ctypeslib.as_array((1, 2, 3)).sum(), squares.astype("int64").dtype)
