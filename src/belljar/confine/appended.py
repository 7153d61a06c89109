"""`append`: files that the guest may add to and no more, and directories where it may also make new
ones.

Landlock has no such right, and a descriptor opened for appending loses that by `fcntl`. So the
guest never has the file. For a file, a pipe lies at the path in its view, and the host writes what
comes out of it to the end of the real file. In a directory, and everywhere where there are no
mounts, the keeper answers the calls that create or append: it opens the real file itself and gives
the guest the end of a pipe (_native/appends.c). What is there already can be neither read nor cut,
overwritten, renamed or removed, whatever is done with the pipe.
"""

from __future__ import annotations

import os

from belljar.confine import sensitive
from belljar.confine.view import look
from belljar.confine.words import unused_uid
from belljar.errors import PolicyError
from belljar.model import Grant, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from belljar.confine.view import View
    from belljar.model import Policy

_CHUNK = 1 << 16


class Pipe(Value):
    """`target` in the guest is the pipe `fifo` of the host."""

    target: str
    fifo: str


class Folder(Value):
    """`target` in the guest is the directory `host`, or the one file `name` of it."""

    target: str
    host: str
    name: str
    device: int
    inode: int


class Appended:
    """The files of one run; `pipes` and `folders` for the plan, `fds` to poll and `take`.

    At most `limits.disk` bytes by `pipes`, and as many in `folders`, where each new file counts for
    4 KiB at least. Raises `PolicyError` for what cannot be appended to.
    """

    def __init__(self, policy: Policy, tier: str, directory: str) -> None:
        self.pipes: list[Pipe] = []
        self.folders: list[Folder] = []
        self.fds: dict[int, int] = {}  # the pipe's end -> the file
        self._room = policy.limits.disk
        self._policy = policy
        grants = [g for g in policy.grants if g.right == "append"]
        try:
            for number, grant in enumerate(grants):
                self._add(grant, f"{directory}/append-{number}", tier)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Appended:
        return self

    def __exit__(self, *_exception: object) -> None:
        for pair in self.fds.items():
            for fd in pair:
                os.close(fd)
        self.fds.clear()
        for pipe in self.pipes:
            os.unlink(pipe.fifo)
        self.pipes.clear()

    def _add(self, grant: Grant, fifo: str, tier: str) -> None:
        source = grant.source or grant.target
        for other in self._policy.grants:
            both = other.right == "write" or (other.right == "read" and not os.path.isdir(source))
            if both and other.target == grant.target:
                raise PolicyError(
                    grant.origin,
                    f"append = {source}: granted with {other.right}, too; leave out one",
                )
        path = os.path.join(os.path.realpath(os.path.dirname(source)), os.path.basename(source))
        taken = [pipe.target for pipe in self.pipes] + [one.target for one in self.folders]
        if grant.target in taken or self._is_writable(grant):
            return
        if os.path.isdir(path):
            self._add_folder(grant, path, "", tier)
            return
        if grant.directory and (os.path.lexists(path) or not grant.optional):
            wrong = "no such directory; make it, or drop the slash to add to a file of that name"
            if os.path.lexists(path):
                wrong = "is no directory; drop the slash"
            raise PolicyError(grant.origin, f"append = {source}/: {wrong}")
        if grant.directory:
            return
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            file = os.open(path, flags | os.O_CLOEXEC | os.O_NOCTTY, 0o644)
        except OSError as error:
            if grant.optional and isinstance(error, FileNotFoundError):
                return
            why = "is a link; name what it leads to" if error.errno == 40 else error.strerror
            raise PolicyError(grant.origin, f"append = {source}: {why}") from error
        if os.fstat(file).st_mode & 0o170000 != 0o100000:
            os.close(file)
            raise PolicyError(grant.origin, f"append = {source}: is not a file")
        if tier == "landlock":  # it exists by now, and there is no mount to put a pipe at its path
            os.close(file)
            self._add_folder(grant, os.path.dirname(path), os.path.basename(path), tier)
            return
        os.mkfifo(fifo, 0o600)
        self.pipes.append(Pipe(grant.target, fifo))
        # both ends, so that a guest that closes its own is not the end of it
        self.fds[os.open(fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)] = file
        if tier == "root":
            os.chown(fifo, unused_uid(), unused_uid())

    def _is_writable(self, grant: Grant) -> bool:
        """A directory above is granted for writing, which includes appending."""
        return any(
            other.right == "write" and sensitive.beneath(grant.target, other.target)
            for other in self._policy.grants
        )

    def _add_folder(self, grant: Grant, path: str, name: str, tier: str) -> None:
        source = grant.source or grant.target
        if os.path.islink(path):
            raise PolicyError(grant.origin, f"append = {source}: is a link; name what it leads to")
        if tier == "landlock" and os.path.join(path, name).rstrip("/") != grant.target:
            raise PolicyError(
                grant.origin,
                f"append = {source}: without mount namespaces a path cannot be renamed, and this "
                f"one is reached by a link or mapped; grant {path} itself",
            )
        found = look(grant, source, path)
        if found is not None:
            self.folders.append(Folder(grant.target, path, name, found.st_dev, found.st_ino))

    def take(self, fd: int) -> bool:
        """Write what has come to the file; False when there is no room for more."""
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return True
        left = memoryview(data[: self._room])
        self._room -= len(left)
        try:
            while left:
                left = left[os.write(self.fds[fd], left) :]
        except OSError:  # its disk is full: as if the limit were
            return False
        return len(data) == 0 or self._room > 0

    def finish(self) -> None:
        """All who could write are gone: what is in the pipes is all."""
        for fd in self.fds:
            while self._room > 0:
                before = self._room
                if not self.take(fd) or self._room == before:
                    break


def add(
    view: View, folders: tuple[Folder, ...], policy: Policy, cwd: str, also: tuple[str, ...]
) -> tuple[tuple[str, ...], list[sensitive.Place]]:
    """Words for the keeper, and what it lets nobody add to: what something outside would obey.

    In the guest's view a directory of these is empty, unless another grant shows what is in it.
    """
    words: list[str] = ["disk", str(policy.limits.disk)]
    shown = {g.target for g in policy.grants if g.right == "write"}
    for one in folders:
        words += ("append", one.target, one.host, one.name, str(one.device), str(one.inode))
        if not one.name:
            view.directory(view.placed(one.target))
        view.window[one.target] = view.window.get(one.target, "") + "a"
    for target in sorted(shown):
        words += ("other", target)
    grants = tuple(Grant("write", one.target, "", one.host) for one in folders if not one.name)
    places = [p for p in sensitive.places(grants, cwd, also) if p.guest not in shown]
    for place in places:
        words += ("kept", place.guest)
        above = max((p for p in view.window if sensitive.beneath(place.guest, p)), key=len)
        view.window[place.guest] = view.window[above].replace("a", "") or "-"
    return tuple(words), places
