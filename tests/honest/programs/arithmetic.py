# flags:
# prints: 0.1000000000000000000000000000 5/6 1.4142135623730950488 (3+4j) 5.0 2.5
import cmath
import math
import statistics
from decimal import Decimal, getcontext
from fractions import Fraction

getcontext().prec = 28
print(
    Decimal("0.3") / 3 + Decimal("0E-28"),
    Fraction(1, 2) + Fraction(1, 3),
    str(Decimal(2).sqrt())[:21],
    complex(3, 4),
    abs(complex(3, 4)),
    statistics.mean([1, 2, 3, 4]),
)
assert cmath.isclose(cmath.exp(cmath.pi * 1j), -1) and math.isclose(math.e, 2.718281828459045)
