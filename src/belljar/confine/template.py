"""Templates: warmed interpreters that guests are forked from (docs/template.md).

A template is a sandbox of its own: it sees the runtime and nothing else, in an empty network. What
it imports is trusted like code of the host's, by all guests that are forked from it: one template
for each trust domain.
"""

from __future__ import annotations

import marshal
import os
import select
import socket
import struct
import threading
import time
import weakref
from contextlib import suppress

from belljar._native import HERE, RECORDER, ZYGOTE
from belljar.confine import plan
from belljar.confine.keeper import Keeper, refusal
from belljar.confine.runtime import Runtime, as_it_is
from belljar.confine.runtime_view import add_runtime, system_libraries
from belljar.confine.view import View
from belljar.confine.words import encode, tier_words
from belljar.errors import BelljarError, TemplateEnded, TemplateError, Unenforceable
from belljar.model import Policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from belljar.confine.runtime import Shown

_BOOT = "/belljar/boot.py"  # as in every guest: the record knows this name as ours
_ZYGOTE = "/belljar/zygote.so"
_RECORDER = "/belljar/recorder.so"
_PIECE = 1 << 15
#: How long imports and `setup` may take, in seconds.
_PATIENCE = 120.0
#: How long a template may leave so many requests unheard that no more fit, in seconds.
_ANSWER = 10.0


def why_not(policy: Policy, tier: str) -> str:
    """Why guests of this policy cannot be forked from a template; "" when they can.

    >>> why_not(Policy(), "root")
    ''
    """
    if tier == "landlock":
        return "there are no namespaces here, in which a template could raise walls"
    if "BELLJAR_CGROUP" in os.environ or {"memory", "cpu"} & set(policy.require):
        return "a control group holds what the keeper starts, and the template starts the guest"
    return ""


class Template:
    """A warmed interpreter of `runtime` in `tier` (`root` or `user`).

    It is started by the first `ask()`, or by `start()`; when it has ended, or this process
    is a fork of the one that started it, the next call starts another one. Safe to be used by
    several threads. `modules` are imported, then `setup` (source) runs. `first` are files of first
    lines (`first_lines.boot_file`) that it reads beforehand, for guests that are given the very
    same ones. It and its guests find the runtime as `shown` says. `close()` ends it and every guest
    that was forked from it.

        template = Template(runtime, facts.tier, modules=("json", "numpy"))
        keeper = Keeper(streams, go, template)

    `start()` and `ask()` raise `Unenforceable` where there are no namespaces, and
    `TemplateError` when what it imports fails or keeps a thread running.
    """

    def __init__(
        self,
        runtime: Runtime,
        tier: str,
        *,
        modules: Sequence[str] = (),
        setup: str = "",
        first: Sequence[str] = (),
        shown: Shown | None = None,
    ) -> None:
        self.runtime = runtime
        self.shown = shown or as_it_is(runtime)
        self.tier = tier
        self.modules = tuple(modules)
        self.setup = setup
        self.first = tuple(first)
        self._lock = threading.Lock()
        self._owner = 0
        self._keeper: Keeper | None = None
        self._requests: socket.socket | None = None
        self._users = -1
        #: all that it has imported, with what that needed; known once it has started
        self.loaded: frozenset[str] = frozenset()
        _made.add(self)

    def start(self) -> None:
        """Start it if it does not run; returns once it can be forked."""
        with self._lock:
            self._ensure()

    def ask(self, streams: tuple[int, int, int], go: int) -> tuple[int, ...]:
        """Ask for a guest with these streams and boot parameters. What its keeper needs, beginning
        with a socket to the guest's init, which is the caller's to close."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs, self._lock:
            for last in (False, True):
                self._ensure()
                assert self._requests is not None
                try:
                    socket.send_fds(self._requests, [b"f"], [theirs.fileno(), *streams, go])
                    break
                except TimeoutError as error:
                    raise TemplateEnded("the template hears nothing") from error
                except (BrokenPipeError, ConnectionResetError) as error:
                    if last:  # it ended after it was looked at, twice
                        raise TemplateEnded("the template ends as soon as it is asked") from error
            return (ours.detach(), *((self._users,) if self._users >= 0 else ()))

    @property
    def pid(self) -> int:
        """Of its keeper, on the host; 0 when it does not run."""
        return self._keeper.pid if self._keeper is not None else 0

    def close(self) -> None:
        """End it, and with it every guest that was forked from it. May be called twice."""
        with self._lock:
            self._end()

    def _ensure(self) -> None:
        if self._owner != os.getpid():
            self._forget()
        if self._requests is not None and not _hung_up(self._requests):
            return
        self._end()
        if self.tier == "landlock":
            raise Unenforceable("files", why_not(Policy(), self.tier), "use the cold engine")
        self._begin()

    def _begin(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._requests = ours
        self._owner = os.getpid()
        try:
            with theirs, open(os.devnull, "r+b", buffering=0) as null:
                streams = (null.fileno(),) * 3
                self._keeper = keeper = Keeper(streams, theirs.fileno())
            keeper.tier(tier_words(self.tier) + encode(["template", "serve"]))
            keeper.build(_words(self.runtime, self.shown, self.first))
            self._tell(ours)
            self._hear(ours, keeper)
            if self.tier == "user":
                self._users = os.open(f"/proc/{keeper.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        except BaseException:
            self._end()
            raise

    def _tell(self, requests: socket.socket) -> None:
        inner = self.shown.inner
        paths = (inner.stdlib, inner.dynload, *inner.site)
        boot = marshal.dumps(
            {
                "path": list(paths),
                "modules": list(self.modules),
                "setup": self.setup,
                "zygote": _ZYGOTE,
                "first": [_shown(index, path).encode() for index, path in enumerate(self.first)],
            },
            2,
        )
        requests.settimeout(_PATIENCE)
        with suppress(BrokenPipeError):  # its keeper's report says why
            requests.send(struct.pack("<Q", len(boot)))
            for at in range(0, len(boot), _PIECE):
                requests.send(boot[at : at + _PIECE])

    def _hear(self, requests: socket.socket, keeper: Keeper) -> None:
        """Its word that it is ready, or the reason why it is not."""
        poll = select.poll()
        poll.register(requests, select.POLLIN)
        poll.register(keeper.report, select.POLLIN)
        until = time.monotonic() + _PATIENCE
        said = b""
        found: BelljarError | None = None
        while not keeper.ended and said != b"ready":
            left = until - time.monotonic()
            if left <= 0:
                raise TemplateError(f"the template: not ready after {_PATIENCE:.0f} seconds")
            for fd, _ in poll.poll(left * 1000):
                if fd == keeper.report:
                    lines = keeper.read()
                    found = next((refusal(x) for x in lines if x[0] == "error"), found)
                    continue
                try:
                    data = requests.recv(1 << 16)
                except ConnectionResetError:  # it ended with parameters unread
                    data = b""
                if data.startswith(b"loaded "):
                    self.loaded |= set(data[7:].decode("utf-8", "replace").split(" "))
                    continue
                said = data or said
                if not data:
                    poll.unregister(requests)
        requests.settimeout(_ANSWER)
        if said.startswith(b"failed "):
            raise failed(said[7:].decode("utf-8", "replace"))
        if said != b"ready":
            raise found or TemplateError(
                "the template ended before it was ready: what it imports or sets up has ended the "
                "process, or its python= does not start"
            )
        if _shares_memory(keeper.pid):
            raise TemplateError(
                "the template: what it imports or sets up has made shared memory (mmap, "
                "multiprocessing), and all its guests would write to that: make it in the guests"
            )

    def _end(self) -> None:
        if self._requests is not None:
            self._requests.close()
            self._requests = None
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None
        if self._users >= 0:
            os.close(self._users)
            self._users = -1

    def _forget(self) -> None:
        """In a fork of the host: what runs is the other process's; only our copies are closed, so
        that it ends with that process, and not with us."""
        if self._keeper is not None:
            self._keeper.abandon()
            self._keeper = None
        self._end()

    def __del__(self) -> None:
        if self._owner == os.getpid():
            self._end()
        else:
            self._forget()


_made: weakref.WeakSet[Template] = weakref.WeakSet()


def _in_child() -> None:
    for one in list(_made):
        one._lock = threading.Lock()  # a thread that is no more may have held it
        one._forget()


os.register_at_fork(after_in_child=_in_child)


def _hung_up(requests: socket.socket) -> bool:
    poll = select.poll()
    poll.register(requests, 0)
    return bool(poll.poll(0))


def _shares_memory(pid: int) -> bool:
    """Whether a mapping of the template, of which this is the keeper, stays shared in its forks.

    Looks after a mistake of trusted code; where procfs does not tell, nothing is found.
    """
    try:
        for _ in range(2):  # its init, then itself
            with open(f"/proc/{pid}/task/{pid}/children", "rb") as file:
                pid = int(file.read().split()[0])
        with open(f"/proc/{pid}/maps", "rb") as file:
            return any(line.split()[1][1:4:2] == b"ws" for line in file)
    except (OSError, IndexError):
        return False


def failed(told: str) -> TemplateError:
    """The error for what a template said: where it failed, and a traceback."""
    where, _, text = told.partition("\n")
    last = (text.strip().splitlines() or ["it failed"])[-1]
    kind = last.partition(":")[0]
    remedy = ""
    if kind == "ModuleNotFoundError":
        remedy = "; it has to be installed for the template's python="
    elif kind in _NOTHING_THERE:
        remedy = "; a template sees its interpreter and nothing else: do it in the sandboxes"
    error = TemplateError(f"the template: {f'{where}: ' if where else ''}{last}{remedy}")
    error.__cause__ = TemplateError(text)
    return error


#: What files and connections raise that are not there.
_NOTHING_THERE = frozenset(
    ("FileNotFoundError", "PermissionError", "OSError", "ConnectionRefusedError", "gaierror",
     "socket.gaierror")
)  # fmt: skip


def _shown(index: int, path: str) -> str:
    return f"/belljar/first{index}{os.path.splitext(path)[1]}"


def _words(runtime: Runtime, shown: Shown, first: Sequence[str]) -> bytes:
    """A view of the runtime alone; no rule, no limit but what guests have anyway."""
    inner = shown.inner
    view = View(isolated=True)
    policy = Policy(extensions="all")
    package = os.path.dirname(HERE)
    plan.furniture(view, policy, "/tmp")
    system_libraries(view, shown)
    add_runtime(view, policy, runtime, shown, os.path.join(package, "py.typed"))
    guest = os.path.join(package, "sandbox", "guest", "template.py")
    view.bind(guest, _BOOT, "", "r")
    for index, path in enumerate(first):
        view.bind(path, _shown(index, path), "", "r")
    view.bind(RECORDER, _RECORDER, "x", "r")
    view.bind(ZYGOTE, _ZYGOTE, "x", "r")
    words = [*view.plan(), "limit", "core", "1", "1", "cwd", "/", "program", inner.program]
    for argument in (inner.program, "-I", "-S", "-B", "-X", "utf8", _BOOT):
        words += ("arg", argument)
    for name, value in (
        ("LD_PRELOAD", _RECORDER),
        ("LD_ORIGIN_PATH", os.path.dirname(inner.program)),
        ("BELLJAR_TEMPLATE", "1"),
    ):
        words += ("env", f"{name}={value}")
    return encode(words)
