# flags:
# prints: 1 2 [3]
# prints: Point(x=1, y=2) 3 Color.RED
# prints: 5 ['total']
# prints: done
"""The library makes code for the program: coroutines, named tuples, data classes, templates."""

import ast
import asyncio
import collections
import contextlib
import dataclasses
import enum
import functools
import inspect
import types


@types.coroutine
def step():
    yield


async def wait():
    await asyncio.sleep(0)
    return [3]


Pair = collections.namedtuple("Pair", "a b")
print(*Pair(1, 2), asyncio.run(wait()))


@dataclasses.dataclass(order=True, frozen=True)
class Point:
    x: int
    y: int = 2


class Color(enum.Enum):
    RED = 1


@functools.lru_cache
def total(*numbers):
    return sum(numbers)


print(Point(1), total(1, 2), Color.RED)
names = {}
exec(compile(ast.parse("total = 2 + 3"), "made", "exec"), names)
print(names["total"], [n for n in names if not n.startswith("__")])


@contextlib.contextmanager
def held():
    yield inspect.signature(total)


with held() as signature:
    assert str(signature) == "(*numbers)"
print("done")
