"""`belljar log collect`: a machine's collector, by hand or as a systemd service.

Exit status: 0 told to stop (SIGTERM, SIGINT), 1 the ledger or the socket cannot be used, 2 usage.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import stat
import sys

from belljar.cli.log_text import safe
from belljar.errors import LedgerError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Final

_BACKLOG: Final = 512  # who is behind a flood waits for so many; the rest waits in the kernel
_FIRST: Final = 3  # SD_LISTEN_FDS_START
_SPARE: Final = 64  # descriptors for everything but connections


def arguments(parser: ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("directory", nargs="?", metavar="DIR", help="the ledger; default: your own")
    parser.add_argument("--socket", metavar="PATH", help=f"where to listen ({_default_socket()})")
    parser.add_argument("--mode", type=_mode, default=0o600, help="of the socket, octal (600)")
    parser.add_argument(
        "--sync", choices=("never", "batch", "always"), default="batch",
        help="when the disk must have it: always is before it is acknowledged (batch)",
    )  # fmt: skip
    parser.add_argument(
        "--rate", type=_rate, default=256 << 20, metavar="BYTES",
        help="a second, of one user's senders together (256M)",
    )  # fmt: skip
    parser.add_argument(
        "--connections", type=int, default=1024, metavar="N",
        help="at once; half of them of one user (1024)",
    )  # fmt: skip


def act(options: Namespace) -> int:
    """0 when it was told to stop."""
    from belljar.ledger.collect.collector import Collector
    from belljar.ledger.collect.shares import Limits
    from belljar.ledger.writer import Writer

    limits = Limits(connections=_connections(options.connections), rate=options.rate)
    path = os.path.abspath(options.socket or _default_socket())
    given = _given(options.socket)
    writer = Writer(options.directory, sync=options.sync)
    try:
        listener = given or _listen(path, options.mode)
    except BaseException:
        writer.close()
        raise
    collector = Collector(listener, writer, limits)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: collector.stop())
    where = safe(str(listener.getsockname()))
    print(f"belljar: collecting at {where} into {safe(options.directory)}", file=sys.stderr)
    if collector.flaw:
        print(
            f"belljar: warning: {safe(collector.flaw)}; runs that began behind that may be begun "
            "again by others",
            file=sys.stderr,
        )
    _notify("READY=1")
    try:
        collector.run()
    finally:
        if given is None:
            _remove(path)
    served = f"{collector.connections} connection{'s' * (collector.connections != 1)}"
    print(f"belljar: {served} served", file=sys.stderr)
    return 0


def _default_socket() -> str:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.geteuid() == 0 or not runtime.startswith("/"):
        runtime = "/run"
    return f"{runtime}/belljar/collect.sock"


def _given(named: str | None) -> socket.socket | None:
    """The socket that systemd listens on for us, as sd_listen_fds(3) describes."""
    if os.environ.pop("LISTEN_PID", "") != str(os.getpid()):
        return None
    count = os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if count != "1":
        raise UsageError(f"one socket is expected of the service manager, not {count}")
    if named is not None:
        raise UsageError("--socket names a socket, and the service manager gave another")
    os.set_inheritable(_FIRST, False)
    try:
        found = socket.socket(fileno=_FIRST)
        listens = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise LedgerError(f"what the service manager gave is no socket: {error.strerror}") from None
    if (found.family, found.type, listens) != (socket.AF_UNIX, socket.SOCK_STREAM, 1):
        raise LedgerError("what the service manager gave is not a listening Unix stream socket")
    return found


def _listen(path: str, mode: int) -> socket.socket:
    """A socket at `path`, in the place of one that nobody listens on any more."""
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _folder(os.path.dirname(path))
        if _is_socket(path):
            if found.connect_ex(path) == 0:
                raise LedgerError(f"cannot listen at {path}: another collector does")
            found.close()
            found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            os.unlink(path)
        before = os.umask(0o777 & ~mode)
        try:
            found.bind(path)
        finally:
            os.umask(before)
        found.listen(_BACKLOG)
    except OSError as error:
        found.close()
        raise LedgerError(f"cannot listen at {path}: {error.strerror or error}") from error
    except BaseException:
        found.close()
        raise
    return found


def _folder(path: str) -> None:
    """Make the directory of the socket, and say so; not those it lies in: a name with a slip in it
    must not become a tree. Raises `LedgerError`, `OSError`.
    """
    try:
        os.mkdir(path)
    except FileExistsError:
        return
    except FileNotFoundError:
        raise LedgerError(
            f"cannot listen in {path}: {os.path.dirname(path)} does not exist; make it first, or "
            "name another place with --socket"
        ) from None
    os.chmod(path, 0o755)  # noqa: S103 - whatever the umask: senders have to come through
    print(f"belljar: made {safe(path)}", file=sys.stderr)


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError as error:
        print(f"belljar: {safe(path)} stays behind: {error.strerror}", file=sys.stderr)


def _connections(wanted: int) -> int:
    """As many as were asked for and there can be descriptors for."""
    if not 0 < wanted <= 1 << 20:
        raise UsageError(f"--connections {wanted}: expected 1 to {1 << 20}")
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted + _SPARE if hard == resource.RLIM_INFINITY else min(hard, wanted + _SPARE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most <= _SPARE:
        raise UsageError(f"--connections: the limit of open files ({hard}) leaves room for none")
    return most - _SPARE


def _mode(text: str) -> int:
    from argparse import ArgumentTypeError

    if not 3 <= len(text) <= 4 or text.strip("01234567") or int(text, 8) > 0o777:
        raise ArgumentTypeError(f"expected an octal mode such as 666, got {safe(repr(text), 60)}")
    return int(text, 8)


def _rate(text: str) -> int:
    from argparse import ArgumentTypeError

    from belljar.policy.units import parse_size

    try:
        found = parse_size(text)
    except ValueError as error:
        raise ArgumentTypeError(safe(str(error), 200)) from None
    if found < 1 << 10:
        raise ArgumentTypeError("expected at least 1K a second")
    return found


def _notify(text: str) -> None:
    """Tell the service manager, as sd_notify(3) describes, where there is one."""
    address = os.environ.pop("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        try:
            manager.sendto(text.encode(), address)
        except OSError as error:
            print(f"belljar: the service manager was not told: {error.strerror}", file=sys.stderr)
