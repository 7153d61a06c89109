# flags: --import msgspec
# prints: [Event(name='a', count=1), Event(name='b', count=0)]
# prints: Expected `str`, got `int` - at `$.name`
import msgspec


class Event(msgspec.Struct):
    name: str
    count: int = 0


packed = msgspec.msgpack.encode([Event("a", 1), Event("b")])
print(msgspec.msgpack.decode(packed, type=list[Event]))
try:
    msgspec.json.decode(b'{"name": 3}', type=Event)
except msgspec.ValidationError as error:
    print(error)
