"""The host's paths are taken out of the bytes of a runtime's files."""

from __future__ import annotations

import marshal
import types
from pathlib import Path

import pytest

from belljar.confine.image.relocate import Needles, configuration, configured, retitled

LONG = "/home/somebody/" + "long/" * 60 + "lib/python3.11/m.py"


def files_of(code: types.CodeType) -> set[str]:
    found = {code.co_filename}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= files_of(constant)
    return found


@pytest.mark.parametrize("old", ["/a/b/m.py", "/ä/m.py", "/x/" + "y" * 250, LONG])
@pytest.mark.parametrize("new", ["/python/m.py", "/p" * 200])
def test_a_compiled_file_carries_another_name_and_is_the_same_otherwise(old: str, new: str) -> None:
    text = "def f(x):\n    class C:\n        y = 'text', b'bytes', 1.5\n    return lambda: (x, C)\n"
    code = compile(text, old, "exec")
    made = marshal.loads(retitled(marshal.dumps(code), old.encode(), new.encode()))
    assert files_of(made) == {new}
    assert made == compile(text, new, "exec")
    names: dict = {}
    exec(made, names)
    assert names["f"](3)()[0] == 3


def test_a_longer_string_that_only_begins_so_is_left_as_it_is() -> None:
    data = marshal.dumps(("/a/m.py", "/a/m.pyx", b"/a/m.py"))
    made = marshal.loads(retitled(data, b"/a/m.py", b"/python/m.py"))
    assert made == ("/python/m.py", "/a/m.pyx", b"/a/m.py")


def test_binaries_keep_their_length_and_paths_still_lead_there() -> None:
    needles = Needles(["/srv/pyenv/versions/3.11.7"], ["/home/alice"])
    data = b"\x7fELF\0/srv/pyenv/versions/3.11.7/lib\0of /home/alice/x\0"
    made = needles.binary(data)
    assert len(made) == len(data)
    assert made.split(b"\0")[1].replace(b"//", b"/").replace(b"//", b"/").startswith(b"/python/")
    assert made.split(b"\0")[1].endswith(b"/lib")
    assert b"alice" not in made
    assert b"pyenv" not in made


def test_a_string_inside_the_end_of_another_survives() -> None:
    made = Needles(["/srv/pyenv/versions/3.11.7"], []).binary(b"/srv/pyenv/versions/3.11.7\0")
    assert made.endswith(b"3.11.7\0")
    assert made.startswith(b"/python/")


def test_common_prefixes_and_roots_home_are_no_needles() -> None:
    assert Needles(["/usr", "/usr/local", "/"], ["/root"]).all == ()


def test_settings_of_a_common_prefix_lose_only_what_is_python_s(tmp_path: Path) -> None:
    data = b"{'prefix': '/usr',\n 'INSTALL': '/usr/bin/install -c',\n 'L': '/usr/lib/python3.11'}"
    made = configuration(data, b"/usr")
    assert b"'prefix': '/python'" in made
    assert b"/usr/bin/install" in made
    assert b"'/python/lib/python3.11'" in made
    assert b"/usr/localized" in configuration(b"'/usr/localized'", b"/usr/local")
    built = b"{'a': 1,\n 'abs_srcdir': '/home/b/Python-3',\n 'X': '/home/b/Python-3/y'}"
    assert b"/home/b" not in configuration(built, b"/opt/py")
    (tmp_path / "_sysconfigdata_x.py").write_bytes(b"v = {'prefix': '/opt/py',\n 'b': 2}")
    assert configured(str(tmp_path)) == ["/opt/py"]
