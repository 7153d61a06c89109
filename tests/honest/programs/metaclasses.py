# flags:
# prints: ['Base', 'Made'] 5
# prints: 3 True
# prints: TypeError
# prints: int any
import abc
import enum
import functools
import typing


class Registered(type):
    known = {}

    def __new__(cls, name, bases, space):
        made = super().__new__(cls, name, bases, space)
        cls.known[name] = made
        return made


class Base(metaclass=Registered):
    pass


Made = type("Made", (Base,), {"x": property(lambda self: 5)})
print(list(Registered.known), Made().x)
print((enum.IntFlag("Rights", "READ WRITE").READ | 2).value, typing.get_type_hints(Made) == {})


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...


try:
    Shape()
except TypeError as error:
    print(type(error).__name__)


@functools.singledispatch
def kind(value):
    return "any"


@kind.register
def _(value: int):
    return "int"


print(kind(1), kind("x"))
