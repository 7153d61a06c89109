"""What a guest is told of an exception in the host."""

from __future__ import annotations

import os
import sqlite3
import traceback
from typing import Any

import pytest
from bridged import Bridged
from pairs import Pair

from belljar.errors import BelljarError, GuestError
from belljar.sandbox.bridge.failures import WITHHELD, Refusal, told
from belljar.sandbox.guest.peer import HostError


class Own(Exception):
    pass


class ValueError2(ValueError):
    pass


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ValueError("no row 17"), "ValueError", "no row 17"),
        (KeyError("name"), "KeyError", "name"),
        (KeyError(("a", 1)), "KeyError", "('a', 1)"),
        (ZeroDivisionError(), "ZeroDivisionError", ""),
        (Own("no row 17"), "HostError", "no row 17"),
        (ValueError2("no row 17"), "HostError", "no row 17"),
        (sqlite3.OperationalError("no such table: t"), "HostError", "no such table: t"),
        (FileNotFoundError(2, "gone: /srv/x", "/srv/x"), "FileNotFoundError",
         "[Errno 2] No such file or directory"),
        (PermissionError(13, "no", "secret.db", None, "other.db"), "PermissionError",
         "[Errno 13] Permission denied"),
        (OSError("in /srv"), "OSError", WITHHELD),
        (OSError("the disk is full"), "OSError", "the disk is full"),
        (ValueError("cannot read /srv/x"), "ValueError", WITHHELD),
        (ValueError("cannot read C:\\x"), "ValueError", WITHHELD),
        (ImportError("no secret", name="secret"), "ImportError", WITHHELD),
        (SyntaxError("bad", ("secret.py", 1, 1, "x")), "SyntaxError", WITHHELD),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "UnicodeDecodeError",
         "'utf-8' codec can't decode byte 0xff in position 0: bad"),
        (GuestError("LookupError", "none"), "LookupError", "none"),
        (GuestError("pkg.Error", "none"), "HostError", "none"),
        (GuestError("SystemExit", "none"), "HostError", "none"),
        (BelljarError("x"), "HostError", "x"),
        (ExceptionGroup("x", [ValueError("y")]), "HostError", "x (1 sub-exception)"),
        (Refusal("PermissionError", "not on Sundays / holidays"), "PermissionError",
         "not on Sundays / holidays"),
        (ValueError("x" * 5000), "ValueError", "x" * 1000),
    ],
)  # fmt: skip
def test_a_type_and_a_text_are_all_that_is_told(error: Exception, kind: str, text: str) -> None:
    what = told(error)
    assert (what.type_name, what.message) == (kind, text)


def test_the_text_is_told_where_the_share_says_so() -> None:
    pair = Pair()

    def fail(error: int) -> None:
        raise (ValueError("in /srv/x"), FileNotFoundError(2, "gone", "/srv/y"))[error]

    pair.share("quiet", functions=fail)
    pair.share("open", functions=fail, messages=True)
    with pytest.raises(ValueError, match=WITHHELD):
        pair.host.quiet(0)
    with pytest.raises(ValueError, match="in /srv/x"):
        pair.host.open(0)
    with pytest.raises(FileNotFoundError, match="/srv/y"):
        pair.host.open(1)


def test_an_exception_whose_text_fails_is_told_without_one() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert told(Odd(1, 2)).message == WITHHELD


def test_no_traceback_and_no_cause_crosses() -> None:
    with Bridged() as box:

        def fail() -> None:
            try:
                {}["/srv/inner"]
            except KeyError as error:
                raise LookupError("outer") from error

        box.share("db", functions={"fail": fail})
        source = (
            "import traceback\n"
            "try: host.db.fail()\n"
            "except Exception as e:\n"
            "    found = (type(e).__name__, str(e), e.__cause__, traceback.format_exc())\n"
            "found"
        )
        kind, text, cause, trace = box.run(source)
    assert (kind, text, cause) == ("LookupError", "outer", None)
    assert "srv" not in trace
    assert __file__ not in trace


def test_a_system_error_keeps_its_number() -> None:
    with Bridged() as box:
        box.share("db", functions={"fail": lambda: os.stat("/nowhere/at/all")})
        source = (
            "try: host.db.fail()\n"
            "except FileNotFoundError as e: found = (e.errno, e.strerror, e.filename)\n"
            "found"
        )
        assert box.run(source) == (2, "No such file or directory", None)


def test_other_exceptions_are_host_errors_in_the_guest() -> None:
    def fail() -> None:
        raise Own("of the host's")

    pair = Pair()
    pair.share("db", functions={"fail": fail})
    with pytest.raises(HostError) as error:
        pair.host.db.fail()
    assert "of the host's" in str(error.value)
    assert __file__ not in "".join(traceback.format_tb(error.value.__traceback__)[-1:])


def test_an_interruption_of_the_host_is_not_the_guests_to_catch() -> None:
    def interrupted() -> Any:
        raise KeyboardInterrupt

    pair = Pair()
    pair.share("db", functions={"fail": interrupted})
    with pytest.raises(KeyboardInterrupt):
        pair.host.db.fail()
