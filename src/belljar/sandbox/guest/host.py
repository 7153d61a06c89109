"""What the host shares, as the guest sees it: `host.<name>`, and what the guest lends to the host.

Nothing here is a wall: a guest can send the bridge whatever it likes, and the host's tables decide.
Part of the live guest's first lines; runs on any CPython from 3.8.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from typing import Any, NoReturn
else:
    from _collections import deque  # the other imports five modules

if "Peer" not in globals():  # in the guest, all parts are one file
    from belljar.sandbox.guest.lent import use_lent
    from belljar.sandbox.guest.ops import GUEST_OBJECT, HOST_OBJECT
    from belljar.sandbox.guest.peer import HostError


_HOST_DROPS = 32  # references that are given back with one note


class Limited(HostError):
    """The limits that the host set for a method are reached: its calls, or how many a second."""

    __module__ = "belljar.guest"

    def __str__(self) -> str:
        return str(self.args[0])


def _host_error(error: Exception) -> Exception:
    """What the host raised, as a program expects it."""
    if isinstance(error, HostError):
        message = error.args[0]
        return Limited("Limited", message) if error.type_name == "Limited" else error
    text = error.args[0] if error.args else ""
    if isinstance(error, OSError) and text.startswith("[Errno "):
        number, _, rest = text[7:].partition("] ")
        if number.isdigit():
            return type(error)(int(number), rest)
    return error


class HostObject:
    """Something of the host's: a number, and the names that the host listed of it. The methods are
    those of its class; `await thing.aio.method(...)` lets other tasks run meanwhile."""

    __module__ = "belljar.guest"
    __slots__ = ("_count", "_host", "_number")
    _methods: "tuple[str, ...]" = ()
    _name = ""
    _form = ""  # of something open: how it is opened here

    def __init__(self, host: "HostSide", number: int) -> None:
        self._host = host
        self._number = number
        self._count = 1

    @property
    def aio(self) -> "_HostAio":
        return _HostAio(self)

    def __getattr__(self, name: str) -> "Any":
        raise AttributeError("host.%s: no attribute %s is shared" % (self._name, name))

    def __dir__(self) -> "list[str]":
        return [name for name in vars(type(self)) if name[:1] != "_" or name in self._methods]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, HostObject):
            return other._number == self._number and other._host is self._host
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._number)

    def __repr__(self) -> str:
        return "<host object %s>" % self._name

    def __reduce__(self) -> "NoReturn":
        raise TypeError("a host object cannot be pickled")

    def __del__(self) -> None:
        self._host.gone(self._number, self._count)


class _HostAio:
    """The methods of a host object as coroutines: another thread waits for the host."""

    __slots__ = ("_of",)

    def __init__(self, of: HostObject) -> None:
        self._of = of

    def __getattr__(self, name: str) -> "Any":
        if name not in self._of._methods:
            raise AttributeError("host.%s: no method %s is shared" % (self._of._name, name))

        async def asking(*args: "Any", **kwargs: "Any") -> "Any":
            return await _host_await(self._of, name, args, kwargs)

        return asking

    def __call__(self, *args: "Any", **kwargs: "Any") -> "Any":
        return _host_await(self._of, "__call__", args, kwargs)


async def _host_await(of: HostObject, name: str, args: "Any", kwargs: "Any") -> "Any":
    import asyncio

    def ask() -> "Any":
        try:
            return of._host.call(of._number, name, args, kwargs), True
        except (StopIteration, StopAsyncIteration):  # no future takes the first
            return None, False

    value, there = await asyncio.get_running_loop().run_in_executor(None, ask)
    if not there:
        raise StopAsyncIteration
    return value


def _host_method(name: str) -> "Any":
    def method(self: "Any", *args: "Any", **kwargs: "Any") -> "Any":
        return self._host.call(self._number, name, args, kwargs)

    method.__name__ = name
    return method


def _host_awaited(name: str) -> "Any":
    async def method(self: "Any", *args: "Any") -> "Any":
        if name == "__aexit__":
            args = _host_told(args)
        return await _host_await(self, name, args, {})

    method.__name__ = name
    return method


def _host_attribute(name: str) -> "Any":
    return property(lambda self: self._host.get(self._number, name))


def _host_told(about: "tuple[Any, ...]") -> "tuple[Any, ...]":
    """An exception that ends a block, as the host is told of it."""
    if about[0] is None:
        return (None, None)
    try:
        return (about[0].__name__, str(about[1])[:1000])
    except Exception:
        return (about[0].__name__, "")


def _host_open(side: "HostSide", number: int, form: str) -> "Any":
    """The file or socket of a descriptor that the host hands over."""
    fd = side.descriptor(number)
    if form == "socket":
        import socket

        return socket.socket(fileno=fd)
    mode, _, encoding = form.partition(":")
    if encoding:
        return open(fd, mode.replace("b", ""), encoding=encoding)
    return open(fd, mode)


def _host_class(
    name: str, methods: "tuple[str, ...]", attributes: "tuple[str, ...]", form: str
) -> "Any":
    """A class with the listed names as its methods, and no others."""
    body: "dict[str, Any]" = {"__slots__": (), "_methods": methods, "_name": name, "_form": form}
    if form:
        body["open"] = lambda self: _host_open(self._host, self._number, form)
        return type("HostObject", (HostObject,), body)
    for one in methods:
        body[one] = _host_awaited(one) if one[:3] == "__a" else _host_method(one)
    for one in attributes:
        body[one] = _host_attribute(one)
    if "__exit__" in methods:
        body["__exit__"] = lambda self, *about: self._host.call(
            self._number, "__exit__", _host_told(about), {}
        )
    if "__next__" in methods and "__iter__" not in methods:
        body["__iter__"] = lambda self: self
    if "__anext__" in methods and "__aiter__" not in methods:
        body["__aiter__"] = lambda self: self
    elif "__aiter__" in methods:
        body["__aiter__"] = _host_method("__aiter__")
    return type("HostObject", (HostObject,), body)


class HostNames:
    """`host`: what the host shares, by name."""

    __slots__ = ("_side",)

    def __init__(self, side: "HostSide") -> None:
        self._side = side

    def __getattr__(self, name: str) -> "Any":
        found = self._side.names.get(name)
        if found is None:
            if name[:1] == "_":
                raise AttributeError(name)
            found = self._side.get(0, name)
            self._side.names[name] = found = found.open() if found._form else found
        return found

    def __dir__(self) -> "list[str]":
        return list(self._side.get(0, ""))

    def __repr__(self) -> str:
        return "<host>"


class HostSide:
    """The guest's half of host objects: calls to the host, and what was lent to it.

    The session makes one with its bridge (`request(op, body)`, `note(op, body)`), gives the bridge
    `refer` and `resolve`, and adds `operations()` to its own.
    """

    def __init__(self, peer: "Any") -> None:
        self._peer = peer
        self._classes: "dict[Any, Any]" = {}
        self._dropped: "deque[tuple[int, int]]" = deque()
        self._lent: "dict[int, Any]" = {}
        self._next = iter(range(1, 1 << 32)).__next__
        self.names: "dict[str, Any]" = {}

    def call(self, number: int, name: str, args: "Any", kwargs: "Any") -> "Any":
        """Call a method of a host object."""
        return self.ask("call", (number, name, args, kwargs))

    def get(self, number: int, name: str) -> "Any":
        """Read an attribute of a host object; of number 0, what is shared under a name."""
        return self.ask("get", (number, name))

    def ask(self, op: str, body: "Any") -> "Any":
        """Ask the host. Raises what it raises."""
        if len(self._dropped) >= _HOST_DROPS:
            self.give_back()
        try:
            return self._peer.request(op, body)
        except (StopIteration, StopAsyncIteration, ConnectionError):
            raise
        except Exception as error:
            if isinstance(error, ReferenceError) and op != "box":  # perhaps shared anew by now
                for name in [
                    name
                    for name, one in self.names.items()
                    if isinstance(one, HostObject) and one._number == body[0]
                ]:
                    self.names.pop(name, None)
            raise _host_error(error) from None

    def descriptor(self, number: int) -> int:
        """Take a descriptor that the host hands over."""
        self._peer.take_descriptors()
        self._peer.request("buffer", 0)  # nothing is sent to who reads without room for it
        fd: int = self._peer._claim_descriptor([self.call(number, "open", (), {})])
        return fd

    def gone(self, number: int, count: int) -> None:
        """A host object is no longer used here. Called by the garbage collector: only noted."""
        self._dropped.append((number, count))

    def give_back(self) -> None:
        """Tell the host what is no longer used here."""
        dropped: "list[int]" = []
        while self._dropped:
            dropped.extend(self._dropped.popleft())
        if dropped:
            self._peer.note("drop", tuple(dropped))

    def refer(self, obj: "Any") -> "Any":
        """The reference by which `obj` crosses to the host; None for what cannot be lent."""
        if isinstance(obj, HostObject):
            return HOST_OBJECT, obj._number
        kind = type(obj)
        if hasattr(kind, "__next__") or hasattr(kind, "__anext__"):
            what = "iterator"
        elif callable(obj):
            what = "function"
        elif hasattr(kind, "__enter__") or hasattr(kind, "__aenter__"):
            what = "context"
        else:
            return None
        number = self._next()
        self._lent[number] = obj
        return GUEST_OBJECT, number, what

    def resolve(self, kind: int, number: int, about: "Any" = None) -> "Any":
        """What a reference from the host means here."""
        if kind == GUEST_OBJECT:
            return self._lent[number]
        made = self._classes.get(about)
        if made is None:
            made = self._classes[about] = _host_class(*about)
        return made(self, number)

    def operations(self) -> "dict[str, Any]":
        """What the host may ask of this part, by name."""
        return {"method": self._method, "drop": self._drop}

    def _drop(self, body: "Any") -> None:
        for number in body:
            self._lent.pop(number, None)

    def _method(self, body: "Any") -> "Any":
        number, name, args, kwargs = body
        if number not in self._lent:
            raise ReferenceError("it was given back")
        return use_lent(self._lent[number], name, args, kwargs)


def _host_sandbox(side: "HostSide") -> "Any":
    def Sandbox(**grants: "Any") -> "Any":  # noqa: N802 - as outside
        """A sandbox made by the host, with some of this one's grants (`read=["/in"]`) and limits
        (`memory="64M"`): run, eval, call, put, get, reset, share, close, and `with`. Raises
        PermissionError for more than this sandbox has itself."""
        side.give_back()  # those that nobody holds have made room
        return side.ask("box", grants)

    Sandbox.__module__ = "belljar.guest"
    return Sandbox


def make_host(side: HostSide) -> "tuple[HostNames, dict[str, Any]]":
    """`host`, and the modules `belljar` and `belljar.guest` that hold it."""
    package: "Any" = type(sys)("belljar")
    inside: "Any" = type(sys)("belljar.guest")
    package.__path__ = []
    package.guest = inside
    host = inside.host = package.host = HostNames(side)
    inside.Sandbox = _host_sandbox(side)
    inside.HostError, inside.Limited, inside.HostObject = HostError, Limited, HostObject
    return host, {"belljar": package, "belljar.guest": inside}


def reinstall_host(host: HostNames, side: HostSide) -> None:
    """In a branch: `host` leads to its own host objects; those of its parent are left behind."""
    host._side._lent.clear()
    host._side = side
    inside: "Any" = sys.modules.get("belljar.guest")
    if inside is not None:
        inside.Sandbox = _host_sandbox(side)
