# flags:
# prints: Point(x=1, y=2) Colour.RED [1, 2] 3
import enum
import typing
from dataclasses import dataclass, field


@dataclass(order=True)
class Point:
    x: int
    y: int = field(default=2)


class Colour(enum.Enum):
    RED = 1


T = typing.TypeVar("T")


class Box(typing.Generic[T]):
    def __init__(self, of: T) -> None:
        self.of = of


print(Point(1), Colour.RED, Box([1, 2]).of, len(typing.get_type_hints(Point)) + 1)
