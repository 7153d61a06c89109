# flags:
# prints: Point(x=1, y=2) (1, 2)
import attrs


@attrs.define
class Point:
    x: int
    y: int = attrs.field(default=2, validator=attrs.validators.instance_of(int))


print(Point(1), attrs.astuple(Point(1)))
