"""What the creator of a sandbox may give it at birth: modules, and standard input."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import contextmanager

from belljar.errors import BelljarError
from belljar.sandbox.live import memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from belljar.model import Policy

#: In the guest: a finder for modules that exist as text alone.
_FINDER: Final = """
import sys
from _frozen_importlib import ModuleSpec

class Given:
    def __init__(self, sources):
        self.sources = sources

    def find_spec(self, name, path=None, target=None):
        if name not in self.sources:
            return None
        package = any(other.startswith(name + '.') for other in self.sources)
        return ModuleSpec(name, self, origin=name + '.py', is_package=package)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__
        module.__file__ = name.replace('.', '/') + '.py'
        code = compile(self.sources[name], module.__file__, 'exec', dont_inherit=True)
        exec(code, module.__dict__)

    def get_source(self, name):
        return self.sources[name]

sys.meta_path.insert(1, Given(sources))
"""


def modules_source(modules: Mapping[str, str]) -> str:
    """Code that makes `modules` (name -> source) importable in the guest it runs in.

    A name with dots is a module of a package. Raises `BelljarError` for what is no name or text.
    """
    if not isinstance(modules, Mapping):
        raise BelljarError(f"modules= is a dict of name and source, not {type(modules).__name__}")
    sources = {}
    for name, source in modules.items():
        if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
            raise BelljarError(f"{name!a} is not the name of a module")
        if not isinstance(source, str):
            raise BelljarError(f"the module {name} is given as its source, a text")
        sources[str(name)] = str(source)
        parts = name.split(".")
        for end in range(1, len(parts)):  # the packages around it
            sources.setdefault(".".join(parts[:end]), "")
    return f"exec(compile({_FINDER!r}, '/belljar/boot.py', 'exec'), {{'sources': {sources!r}}})"


def argv_source(args: tuple[str, ...]) -> str:
    """An expression that makes these the arguments of the guest that it runs in."""
    return f"__import__('sys').argv.__setitem__(slice(None), {list(args)!r})"


@contextmanager
def with_input(policy: Policy, given: bytes | str | None) -> Iterator[Policy]:
    """`policy` with these bytes as standard input: memory that nobody can write to."""
    if given is None:
        yield policy
        return
    if not isinstance(given, bytes | bytearray | memoryview | str):
        raise BelljarError(f"input= is text or bytes, not {type(given).__name__}")
    if policy.stdin != "null":
        raise BelljarError("input= and stdin= both say what standard input is: leave out one")
    data = given.encode() if isinstance(given, str) else bytes(given)
    fd = memory.create(len(data), 0)
    try:
        memory.write(fd, memoryview(data))
        if not memory.sealed(fd, len(data)):
            raise BelljarError("cannot give standard input: this kernel does not seal memory")
        yield policy.replace(stdin=f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def check_words(argv: object, template: object) -> None:
    """Raise TypeError for one text in the place of words, and for a template that is none."""
    from belljar.sandbox.live.warm import Template

    if isinstance(argv, str):
        raise TypeError("argv= is a list of words, not one text")
    if template is not None and not isinstance(template, Template):
        raise TypeError(f"template= is a belljar.Template, not {type(template).__name__}")
