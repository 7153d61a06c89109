"""SQL over a ledger: DuckDB on the index, locked so that a query can only read the index.

The SQL is the user's own. The data is not: it is text and numbers in columns, and nothing of it
is ever evaluated. Needs the extra `query`.
"""

from __future__ import annotations

import contextlib

from belljar.errors import LedgerError, UsageError
from belljar.ledger.query.columns import extra, opened
from belljar.ledger.query.index import Index
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Final

    from belljar.ledger.query.index import Progress

#: No files, no network, no extensions, no variables of this process; and none of it can be undone.
LOCKED: Final = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_unsigned_extensions": "false",
    "python_enable_replacements": "false",
}
_SOME: Final = 1024
_ZONED: Final = "TIMESTAMP WITH TIME ZONE"


class Answer(Value):
    """What a query gave: names and types (DuckDB's) of its columns, and the rows, once."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]


@contextlib.contextmanager
def ask(
    directory: str, sql: str, *, index: bool = True, progress: Progress | None = None
) -> Iterator[Answer]:
    """The answer to `sql` over the ledger in `directory`; rows are fetched as they are taken.

    With `index=False` the ledger itself is read, whatever lies in the cache.
    Raises `UsageError` for SQL that does not stand, `LedgerError` for what fails while it runs
    or where the extra is missing, `LedgerCorrupt`.

    >>> with ask("/tmp/example", "SELECT count(*) FROM events") as answer:  # doctest: +SKIP
    ...     list(answer.rows)
    [(10000000,)]
    """
    with Index(directory, keep=index, progress=progress) as made:
        duckdb = extra()[0]
        wrong = (
            duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException,
            duckdb.PermissionException,
        )  # fmt: skip
        base = connect(made.path)
        try:
            result = _execute(base, sql)
            described = result.description or []
            names = tuple(column[0] for column in described)
            types = tuple(str(column[1]) for column in described)
            if any(_ZONED in kind for kind in types):
                result = base.execute(_in_utc(sql, types))
            yield Answer(names, types, _rows(result, _some(result)) if described else iter(()))
        except wrong as error:
            raise UsageError(f"this query cannot be asked: {_said(error)}") from error
        except duckdb.Error as error:
            raise LedgerError(f"the query failed: {_said(error)}") from error
        finally:
            base.close()


def connect(path: str) -> Any:
    """A locked, reading connection to the index at `path`. Its time zone is UTC."""
    duckdb = extra()[0]
    base = opened(path, read_only=True, config=LOCKED)
    with contextlib.suppress(duckdb.CatalogException):  # built without zones: all is UTC
        base.execute("SET TimeZone = 'UTC'")
    # Only now: the configuration that a connection begins with knows no time zone.
    base.execute("SET lock_configuration = true")
    return base


def _execute(base: Any, sql: str) -> Any:
    """The result of the one statement in `sql`."""
    if not sql.isascii() and sql != sql.encode("utf-8", "replace").decode():
        raise UsageError("this query cannot be asked: it is no UTF-8")
    statements = base.extract_statements(sql)
    if len(statements) != 1:
        what = "there is no SQL in it" if not statements else "only one statement, please"
        raise UsageError(f"this query cannot be asked: {what}")
    return base.execute(statements[0])


def _in_utc(sql: str, types: tuple[str, ...]) -> str:
    """The same rows, with times that have a zone as times of UTC: DuckDB's module needs another
    one (pytz) to hand out the former."""
    text = sql.encode()
    for at, kind in reversed(extra()[0].tokenize(sql)):
        if kind.name != "comment" and sql.encode()[at : at + 1] != b";":
            break
        text = text[:at]
    columns = [f"c{at}::{kind.replace(_ZONED, 'TIMESTAMP')}" if _ZONED in kind else f"c{at}"
               for at, kind in enumerate(types)]  # fmt: skip
    names = ", ".join(f"c{at}" for at in range(len(types)))
    return f"SELECT {', '.join(columns)} FROM (\n{text.decode()}\n) AS t({names})"  # noqa: S608


def _rows(result: Any, some: list[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """The rows, of which the first are there: what fails at once fails before anything is out."""
    while some:
        yield from some
        some = _some(result)


def _some(result: Any) -> list[tuple[Any, ...]]:
    try:
        found: list[tuple[Any, ...]] = result.fetchmany(_SOME)
    except (OverflowError, ValueError) as error:
        raise LedgerError(
            f"a value of the answer has no form here ({error}): cast it to VARCHAR"
        ) from error
    return found


def _said(error: Exception) -> str:
    """The first line of what DuckDB says, without its own name for the kind of error."""
    return str(error).split("\n", 1)[0].partition(": ")[2] or "DuckDB does not say why"
