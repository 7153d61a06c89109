# flags:
# prints: 268 1.4142135623730950488016887242096980785696718753769
# prints: 7381/2520
# prints: 9.1966666666666666666666666666666666666666666666667 2 [2.0, 5.0, 8.0]
import statistics
from decimal import ROUND_HALF_UP, Decimal, getcontext
from fractions import Fraction

getcontext().prec = 50
print((Decimal("2.675") * 100).quantize(Decimal(1), ROUND_HALF_UP), Decimal(2).sqrt())
print(sum(Fraction(1, n) for n in range(1, 11)))
prices = [Decimal("9.99"), Decimal("14.50"), Decimal("3.10")]
print(statistics.mean(prices), statistics.median([3, 1, 2]), statistics.quantiles(range(11), n=4))
