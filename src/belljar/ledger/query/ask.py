"""SQL over a ledger: DuckDB on the index, locked so that a query can only read the index.

The SQL is the user's own. The data is not: it is text and numbers in columns, and nothing of it
is ever evaluated. Needs the extra `query`.
"""

from __future__ import annotations

import contextlib

from belljar.errors import LedgerError, UsageError
from belljar.ledger.query.columns import extra
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
    "lock_configuration": "true",
}
_SOME: Final = 1024


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
            result = base.execute(sql)  # None where there is no statement in it
            described = (result.description or []) if result else []
            names = tuple(column[0] for column in described)
            types = tuple(str(column[1]) for column in described)
            yield Answer(names, types, _rows(result) if described else iter(()))
        except wrong as error:
            raise UsageError(f"this query cannot be asked: {_said(error)}") from error
        except duckdb.Error as error:
            raise LedgerError(f"the query failed: {_said(error)}") from error
        finally:
            base.close()


def connect(path: str) -> Any:
    """A locked, reading connection to the index at `path`."""
    return extra()[0].connect(path, read_only=True, config=LOCKED)


def _rows(result: Any) -> Iterator[tuple[Any, ...]]:
    while some := result.fetchmany(_SOME):
        yield from some


def _said(error: Exception) -> str:
    """The first line of what DuckDB says, without its own name for the kind of error."""
    return str(error).split("\n", 1)[0].partition(": ")[2] or "DuckDB does not say why"
