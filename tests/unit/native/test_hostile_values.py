"""The encoder runs no code of the program, whatever the program hands to an event."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belljar._native._core import record_value
from belljar.events.targets import BigInt, Cut, TypeName

EVIL = """
import sys
def ran(*a, **k):
    print("GUEST CODE RAN", flush=True)
    raise SystemExit(9)
class Meta(type):
    __name__ = property(ran)
    __repr__ = __str__ = __getattribute__ = ran
class Path(metaclass=Meta):
    __fspath__ = __repr__ = __str__ = __getattribute__ = __iter__ = __len__ = __eq__ = ran
    __index__ = __bool__ = __int__ = __float__ = __del__ = ran
    __hash__ = object.__hash__
class Str(str):
    __repr__ = __str__ = __getattribute__ = __len__ = __iter__ = __eq__ = encode = ran
    __fspath__ = __format__ = __getitem__ = __mro_entries__ = ran
    __hash__ = str.__hash__
class Bytes(bytes):
    __repr__ = __str__ = __bytes__ = __getattribute__ = __len__ = __iter__ = __eq__ = ran
    __fspath__ = decode = __getitem__ = __buffer__ = ran
    __hash__ = bytes.__hash__
class Dict(dict):
    __repr__ = __getattribute__ = __iter__ = __len__ = keys = items = __getitem__ = ran
class List(list):
    __repr__ = __getattribute__ = __iter__ = __len__ = __getitem__ = ran
class Int(int):
    __repr__ = __getattribute__ = __index__ = __int__ = bit_length = ran
class Renamed: pass
type.__setattr__(Renamed, '__name__', Str('x'))
import codecs
codecs.register_error('surrogatepass', ran)
codecs.register_error('surrogateescape', ran)
path = object.__new__(Path)
sys.audit('mark', path, Str('a'), Dict(a=1), List([1]), Int(3), Renamed(), [path, (path,)])
sys.audit('mark', '\\ud800', {path: path}, {'NAME': 'secret-value'}, 1 << 80)
sys.audit('mark', Str('\\ud800'), Bytes(b'\\xff'), Str('é' * 5000), Bytes(b'b' * 5000),
    (Str('h'), 1))
import os
os._exit(0)
"""


def test_hostile_objects_are_recorded_by_the_name_of_their_type(interpreter, record):
    found = record([interpreter, "-I", "-S", "-c", EVIL])
    assert (found.status, found.out, found.err) == (0, "", "")
    first, second, texts = found.named("mark")
    dict_, list_, int_ = (TypeName(n) for n in ("Dict", "List", "Int"))
    assert first.args[:5] == (TypeName("Path"), "a", dict_, list_, int_)
    assert first.args[5] == TypeName("?")  # its name is no exact str
    assert first.args[6] == (TypeName("Path"), (TypeName("Path"),))
    assert second.args == ("\ud800", (TypeName("Path"),), ("NAME",), BigInt(81))
    assert texts.args[:2] == ("\ud800", b"\xff")  # text of a subclass: its own
    long, raw, address = texts.args[2:]
    assert (long.length, set(long.text)) == (5000, {"é"})
    assert (raw.length, set(raw.text)) == (5000, {"b"})
    assert address == ("h", 1)
    assert not any(b"secret-value" in frame for frame in found.raw if b"mark" in frame[:60])


def test_the_garbage_collector_stays_as_the_program_set_it(run_code):
    found = run_code(
        "import gc, sys\n"
        "gc.set_threshold(1)\n"
        "class Cycle:\n"
        "    def __init__(self): self.me = self\n"
        "    def __del__(self): sys.audit('mark', 1)\n"
        "for n in range(50):\n"
        "    Cycle(); sys.audit('other', {'a': 1}, [n], Cycle)\n"
        "assert gc.isenabled()\n"
        "gc.disable(); sys.audit('other', {'a': 1}); assert not gc.isenabled()\n"
    )
    assert found.status == 0, found.err
    assert len(found.named("other")) == 51
    assert len(found.marks()) > 10
    assert found.findings == []


def test_long_text_is_cut_with_its_length(run_code):
    found = run_code(
        "import sys\n"
        "sys.audit('mark', 'a' * 1_000_000, 'é' * 1_000_000)\n"
        "sys.audit('mark', b'b' * 1_000_000, '\\ud800' * 2000)\n"
        "compile('x = 1 #' + 'y' * 1000, '<made>', 'exec')\n"
    )
    (ascii_, accents), (raw, lone) = (event.args for event in found.named("mark"))
    assert type(ascii_) is Cut
    assert ascii_ == Cut("a" * len(ascii_.text), 1_000_000)
    assert len(ascii_.text) > 100
    assert accents.length == raw.length == 1_000_000
    assert set(accents.text) == {"é"}
    assert lone == Cut("\ud800" * len(lone.text), 2000)
    source = next(e for e in found.named("compile") if e.args[1] == "<made>").args[0]
    assert source == ("x = 1 #" + "y" * 1000).encode()


def test_environments_are_recorded_by_name_only(run_code):
    found = run_code(
        "import subprocess\nsubprocess.run(['/bin/true'], env={'TOKEN': 'hunter2', 'B': 'x'})\n"
    )
    assert found.named("subprocess.Popen")[0].args[3] == ("TOKEN", "B")
    assert not any(b"hunter2" in frame for frame in found.raw if b"import subprocess" not in frame)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec=None), max_size=300)
    | st.text(max_size=3000)
    | st.binary(max_size=3000),
    lambda inner: (
        st.lists(inner, max_size=80)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=40,
)


@settings(max_examples=300, deadline=None)
@given(values, st.integers(1, 4096))
def test_any_value_fits_any_room_and_decodes(value, room):
    data, cut = record_value(value, room)
    assert 1 <= len(data) <= room
    decoded = msgspec.msgpack.decode(data, ext_hook=lambda code, data: (code, bytes(data)))
    if not cut and not isinstance(value, (list, tuple, dict, int, str)):
        assert decoded == value


@pytest.mark.parametrize("room", [0, -1, 4097])
def test_room_out_of_range_is_refused(room):
    with pytest.raises(ValueError, match="room must be 1 to 4096 bytes"):
        record_value(None, room)
