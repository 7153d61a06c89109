"""The program of a live guest: does what the host asks, one request after the other, in `__main__`.

Part of the live guest's first lines. It answers each of the host's operations with a value, or with
what is to be told of an exception. Nothing here is a wall: the guest's code can change all of it.
"""

import builtins
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from belljar.sandbox.guest.branch import _LEFT_BEHIND, Branched, branch, own_channel
    from belljar.sandbox.guest.buffers import LargePeer
    from belljar.sandbox.guest.host import HostSide, make_host, reinstall_host
    from belljar.sandbox.guest.offer import narrow, narrow_apart, tell_narrowed
    from belljar.sandbox.guest.ops import (
        HOST_ASKS,
        MESSAGE_OF_ERROR,
        NAME_OF_ERROR,
        REQUEST,
        TEXT_OF_ERROR,
    )
    from belljar.sandbox.guest.peer import _HEAD_OP
    from belljar.sandbox.guest.values import dumps

_OURS = "/belljar/boot.py"
_ONLY_AST = 0x400  # ast.PyCF_ONLY_AST, without the module
_MOST_TURNS = 4096  # changes between the two streams that are told of one request
_KEPT_SOURCES = 256
_TAKEN_IN = 1000  # milliseconds; a host that is stuck does not hold up what is written

#: How a request ended; the first item of its answer.
VALUE, EXIT, ERROR = 0, 1, 2


class _Turns:
    """Which stream wrote how much, in order: the kernel keeps no order between two pipes."""

    def __init__(self) -> None:
        self.turns: "list[list[int]]" = []
        self.last = 0
        self.heard: "dict[int, Any]" = {}  # for each stream what tells that the host has taken it

    def hear(self) -> None:
        """The host hears output as it comes, and has made the pipes so small that there is room
        in one when all of it is taken."""
        try:
            import select
        except ImportError:  # blocked: then by arrival
            return
        for number in (1, 2):
            self.heard[number] = select.poll()
            self.heard[number].register(number, select.POLLOUT)

    def begin(self, number: int) -> None:
        """Before this stream writes, what the other one wrote has been taken."""
        last, self.last = self.last, number
        if self.heard and last not in (0, number):
            self.heard[last].poll(_TAKEN_IN)

    def note(self, number: int, size: int) -> None:
        turns = self.turns
        if turns and turns[-1][0] == number:
            turns[-1][1] += size
        elif len(turns) < _MOST_TURNS:
            turns.append([number, size])
        else:
            turns[-1][1] = -1 << 60  # too many: the sum fits nothing, and the host goes by arrival

    def take(self) -> "tuple[Any, ...]":
        turns, self.turns = self.turns, []
        return tuple(map(tuple, turns)) if len(turns) > 1 else ()


_turns = _Turns()


def _streams() -> "tuple[Any, Any]":
    """Standard streams that note their turns. What is written to standard error comes behind what
    was written to standard output before, as on a terminal."""
    import io

    class Stream(io.FileIO):
        def __init__(self, number: int, first: "Any") -> None:
            io.FileIO.__init__(self, number, "wb", closefd=False)
            self.first = first

        def write(self, data: "Any") -> int:
            if self.first is not None:
                try:
                    self.first.flush()
                except ValueError:
                    self.first = None  # the program closed it
            _turns.begin(self.fileno())
            written = io.FileIO.write(self, data)
            if written:
                _turns.note(self.fileno(), written)
            return written

        def hear(self) -> None:
            _turns.hear()

    class AtOnce(io.BufferedWriter):
        def write(self, data: "Any") -> int:
            written = io.BufferedWriter.write(self, data)
            self.flush()
            return written

    def text(number: int, first: "Any", errors: str) -> "Any":
        raw: "Any" = Stream(number, first)
        raw.name = "<stdout>" if number == 1 else "<stderr>"
        buffer = io.BufferedWriter(raw) if number == 1 else AtOnce(raw)
        stream: "Any" = io.TextIOWrapper(buffer, "utf-8", errors, "\n", False, number == 2)
        stream.mode = "w"
        return stream

    out = text(1, None, "surrogateescape")
    return out, text(2, out, "backslashreplace")


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: S112 - the program closed or replaced it, with whatever
            continue


def _last_value(source: "Any", filename: str, mode: str, names: "dict[str, Any]") -> "Any":
    """Run `source`; the value of its last statement, if that is an expression."""
    if mode == "eval":
        return eval(compile(source, filename, "eval", 0, True), names)  # noqa: S307
    tree: "Any" = compile(source, filename, "exec", _ONLY_AST, True)
    body = tree.body
    if not body or type(body[-1]).__name__ != "Expr":
        exec(compile(tree, filename, "exec", 0, True), names)
        return None
    import _ast

    last = _ast.Expression(body.pop().value)
    if body:
        exec(compile(tree, filename, "exec", 0, True), names)
    return eval(compile(last, filename, "eval", 0, True), names)  # noqa: S307 - what it is for


def _remember(source: "Any", filename: str) -> None:
    """So that a traceback shows the lines of what was run."""
    if type(source) is not str:
        return
    import linecache

    cache = linecache.cache
    cache.pop(filename, None)
    if len(cache) > _KEPT_SOURCES:
        for name in [name for name in cache if name[:1] == "<"][: _KEPT_SOURCES // 2]:
            del cache[name]
    cache[filename] = (len(source), None, [line + "\n" for line in source.split("\n")], filename)


def _type_name(kind: type) -> str:
    name = type.__getattribute__(kind, "__qualname__")
    module = type.__dict__["__module__"].__get__(kind)
    if type(module) is not str or module in ("builtins", "__main__"):
        return str(name)
    return module + "." + str(name)


def tell_error(error: BaseException) -> "tuple[str, str, str]":
    """Type name, message and traceback text of an exception, without frames of ours."""
    name, message, text = _type_name(type(error)), "", ""
    try:
        message = str(error)
        import traceback

        for one in _chain(error):
            one.__traceback__ = _without_ours(one.__traceback__)
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except Exception:  # its own methods fail: what is known is told
        text = text or name
    cut = TEXT_OF_ERROR // 2
    if len(text) > TEXT_OF_ERROR:
        text = text[: cut - 16] + "\n  ... cut ...\n" + text[-cut + 16 :]
    return name[:NAME_OF_ERROR], message[:MESSAGE_OF_ERROR], text[:TEXT_OF_ERROR]


def _chain(error: "Any") -> "list[Any]":
    found: "list[Any]" = []
    rest = [error]
    while rest and len(found) < 64:
        one = rest.pop()
        if one is not None and all(one is not known for known in found):
            found.append(one)
            rest += [one.__cause__, one.__context__]
    return found


def _without_ours(trace: "Any") -> "Any":
    while trace is not None and trace.tb_frame.f_code.co_filename == _OURS:
        trace = trace.tb_next
    return trace


def _status(end: SystemExit) -> int:
    """The exit status that the interpreter would make of it; what it would print, is printed."""
    code = end.code
    if code is None:
        return 0
    if isinstance(code, int):
        return int(code) & 0xFF
    print(code, file=sys.stderr)
    return 1


class Session:
    """Serves the host's requests; `more` holds further operations by name, of other parts."""

    names: "dict[str, Any]"
    clean: "dict[str, Any]"

    def __init__(self) -> None:
        self.more: "dict[str, Callable[[Any], Any]]" = {}

    def serve(self, op: str, body: "Any", request: "Any") -> "Any":
        """The answer to one operation: `(how, value, turns)` for what runs the guest's code."""
        if op == "run":
            source, filename, mode = body
            return self._answer(self._run, source, filename, mode)
        if op == "call":
            target, args, kwargs = body
            return self._answer(self._call, target, args, kwargs)
        if op == "put":
            self.names.update(body)
            return None
        if op == "get":
            return self._answer(self._get, body)
        if op == "reset":
            return self._reset()
        return self.more[op](body)

    def _answer(self, work: "Callable[..., Any]", *args: "Any") -> "Any":
        try:
            value = work(*args)
            how = VALUE
        except SystemExit as end:
            how, value = EXIT, _status(end)
        except BaseException as error:  # told, not passed on: the session goes on
            how, value = ERROR, tell_error(error)
        if sys.stdout is not None or sys.stderr is not None:
            _flush()
        return how, value, _turns.take()

    def _run(self, source: "Any", filename: str, mode: str) -> "Any":
        try:
            return _last_value(source, filename, mode, self.names)
        except BaseException:
            _remember(source, filename)
            raise

    def _call(self, target: "Any", args: "Any", kwargs: "Any") -> "Any":
        if type(target) is not str:
            return target(*args, **kwargs)
        module, mark, path = target.rpartition(":")
        if mark:
            __import__(module)
            found = sys.modules[module]
            for name in path.split("."):
                found = getattr(found, name)
            return found(*args, **kwargs)  # type: ignore[operator]
        return self._get(path)(*args, **kwargs)

    def _get(self, path: str) -> "Any":
        first, *rest = path.split(".")
        if first in self.names:
            found = self.names[first]
        else:
            import builtins

            if not hasattr(builtins, first):
                raise NameError("name %r is not defined" % first)
            found = getattr(builtins, first)
        for name in rest:
            found = getattr(found, name)
        return found

    def _reset(self) -> None:
        self.names.clear()
        self.names.update(self.clean)
        import gc

        gc.collect()


class _Live:
    """All of a live guest that depends on none of its parameters."""

    before: "tuple[Any, Any]"

    def __init__(self) -> None:
        self.out, self.err = _streams()
        self.session = Session()
        self.peer, self.side = _bridge(self.session)
        self.host, self.modules = make_host(self.side)
        _show_arrays(self.modules, self.peer)


_lives: "list[_Live]" = []


def prepare_session() -> None:
    """By a template, while its streams are pipes: what each of its guests would make."""
    _rehearse()
    _lives.append(_Live())


def _rehearse() -> None:
    """Answer requests of our own: what is done for the first time takes longest, and writes to
    memory that guests would share else."""
    live, (read, write) = _Live(), posix.pipe()
    live.session.names = {"__builtins__": builtins}
    live.peer._fd = write  # its answers; nothing else of a process is taken
    asked = []
    for mode in ("eval", "exec") * 8:
        data = dumps(("0", "<template>", mode))
        head = _HEAD_OP.pack(1 + len(data), REQUEST, 1, 0, HOST_ASKS["run"])
        asked.append(head + data)
    live.peer._receive = lambda _: asked.pop() if asked else b""
    live.peer.loop()
    posix.close(read)
    posix.close(write)


def _pipes() -> bool:
    return all(posix.fstat(fd).st_mode & 0o170000 == 0o010000 for fd in (1, 2))


def serve_session(names: "dict[str, Any]") -> None:
    """Be a live guest until the host closes the bridge."""
    live = _lives.pop() if _lives and _pipes() else _Live()
    live.before = sys.stdout, sys.stderr  # held: their end would write to shared memory
    sys.stdout, sys.stderr = live.out, live.err
    sys.__dict__.update(__stdout__=live.out, __stderr__=live.err)
    sys.modules.update(live.modules)
    live.modules["belljar.guest"].__dict__["narrow"] = narrow
    tell_narrowed(live.side.ask)
    names["host"] = host = live.host
    session, peer = live.session, live.peer
    session.names, session.clean = names, dict(names)
    peer.attach(3)
    sys.audit("belljar.begin")
    posix.write(3, b"\x01")  # the host takes from the kernel who wrote it
    while True:
        try:
            peer.loop()
            break
        except Branched:  # it has a bridge of its own
            _turns.take()
            peer._lost = _LEFT_BEHIND
            peer, side = _bridge(session)
            peer.attach(3)
            narrow_apart(side.ask)
            reinstall_host(host, side)
            _show_arrays(sys.modules, peer)
    _flush()


def _bridge(session: Session) -> "tuple[Any, HostSide]":
    """A bridge for `session` that has no descriptor yet (`Peer.attach`)."""
    peer: "Any" = LargePeer(-1, session.serve, tell_error)
    side = HostSide(peer)
    peer._refer, peer._resolve = side.refer, side.resolve
    session.more.update(side.operations())
    session.more["buffer"] = peer.take_descriptors

    def make(places: "Any") -> None:
        _flush()
        branch(peer, places)

    session.more["branch"] = make
    session.more["channel"] = lambda places: own_channel(peer, places)
    return peer, side


def _show_arrays(modules: "dict[str, Any]", peer: "Any") -> None:
    for name in ("belljar", "belljar.guest"):
        if name in modules:
            modules[name].__dict__["array"] = peer.memories.array
