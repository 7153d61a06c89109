"""The exception tree. Names say whose fault it is; `exit_code` is what the command line returns."""

from __future__ import annotations


class BelljarError(Exception):
    """Base of everything Belljar raises on purpose. The text is one line for a person."""

    exit_code = 125


class UsageError(BelljarError):
    """The command line could not be understood."""

    exit_code = 2


class PolicyError(BelljarError):
    """A policy (file, flag or keyword) is wrong. The text begins with its place."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place
        self.message = message


class Unenforceable(BelljarError):
    """A protection that the policy needs cannot be given here. Nothing of the guest ran."""

    def __init__(self, protection: str, cause: str, remedy: str) -> None:
        super().__init__(f"cannot protect {protection}: {cause}; {remedy}")
        self.protection = protection
        self.cause = cause
        self.remedy = remedy


class ProgramNotFound(BelljarError):
    """The program or script does not exist."""

    exit_code = 127


class ProgramNotExecutable(BelljarError):
    """The program exists and cannot be executed."""

    exit_code = 126


class TemplateError(BelljarError):
    """A template could not be made: what it imports or its `setup` failed, or keeps threads."""


class TemplateEnded(BelljarError):
    """A template ended before it forked the guest. Nothing of the guest ran; ask again."""


class GuestProtocolError(BelljarError):
    """Bytes from the guest were not what the protocol allows."""


class GuestEnded(BelljarError):
    """The guest at the other end of a bridge has gone; how it ended is not known yet."""


class GuestError(BelljarError):
    """Code in a sandbox raised an exception: what is told of it, never the exception itself.

    `type_name` is the name of its type (`ValueError`, `pkg.mod.Error`), `message` its text,
    `traceback` the guest's own traceback as text. All three were written by the guest: escape
    them before a terminal, and decide nothing by them that matters.

    >>> raise GuestError("ValueError", "no such row")
    Traceback (most recent call last):
    belljar.errors.GuestError: ValueError: no such row
    """

    exit_code = 1

    def __init__(self, type_name: str, message: str = "", traceback: str = "") -> None:
        super().__init__(f"{type_name}: {message}" if message else type_name)
        self.type_name = type_name
        self.message = message
        self.traceback = traceback

    def __reduce__(self) -> tuple[type[GuestError], tuple[str, str, str]]:
        return GuestError, (self.type_name, self.message, self.traceback)


class SandboxEnded(BelljarError):
    """The sandbox has ended, so nothing more can be asked of it. `ended_by` says what ended it,
    `result` how, where that is known: a `belljar.Result`."""

    def __init__(self, message: str, ended_by: str = "closed", result: object = None) -> None:
        super().__init__(message)
        self.ended_by = ended_by
        self.result = result

    def __reduce__(self) -> tuple[type[SandboxEnded], tuple[str, str, object]]:
        return SandboxEnded, (str(self), self.ended_by, self.result)


class LedgerError(BelljarError):
    """The ledger cannot be opened or appended to; nothing runs unrecorded."""


class LedgerCorrupt(LedgerError):
    """The ledger does not verify. `offset` is the first byte that does not."""

    exit_code = 1

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class InternalError(BelljarError):
    """A defect of Belljar itself. Please report it."""
