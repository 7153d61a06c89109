# needs: attrs
# flags:
# prints: Point(x=3, y=0) {'x': 1, 'y': 2} True
# prints: refused
import attrs


@attrs.define(order=True)
class Point:
    x: int = attrs.field(converter=int, validator=attrs.validators.ge(0))
    y: int = 0


print(Point("3"), attrs.asdict(Point(1, 2)), Point(1) < Point(2))
try:
    Point(-1)
except ValueError:
    print("refused")
