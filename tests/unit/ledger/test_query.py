"""`belljar log query`: answers, locks, and nothing in the data that fools anyone."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from belljar.cli.log import main
from belljar.errors import LedgerError, UsageError
from belljar.ledger import EVENTS, Writer
from belljar.ledger.query.ask import ask, connect
from belljar.ledger.query.index import Index
from belljar.report.text import printable

from .conftest import RUN
from .everything import NASTY, event, make

PAGE = Path(__file__).parents[3] / "docs" / "query.md"
VIEWS = ("events", "runs", "decisions", "syscalls")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = str(tmp_path_factory.mktemp("ledgers") / "ledger")
    make(directory)
    return directory


def answer(directory: str, sql: str, *, index: bool = True) -> list[tuple]:
    with ask(directory, sql, index=index) as found:
        return list(found.rows)


def run(argv: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    status = main(argv)
    out, err = capsys.readouterr()
    return status, out, err


def documented(view: str) -> list[tuple[str, str]]:
    section = PAGE.read_text("utf-8").split(f"### `{view}`", 1)[1].split("\n### ")[0]
    return re.findall(r"^\| `(\w+)` \| (\w+) \|", section, re.MULTILINE)


@pytest.mark.parametrize("view", [*VIEWS, "alerts", "entries"])
def test_every_column_is_documented_with_its_type(everything: str, view: str) -> None:
    found = [(row[0], row[1]) for row in answer(everything, f"DESCRIBE {view}")]
    if view == "alerts":
        assert found == documented("decisions` and `alerts")
    elif view == "entries":
        assert sorted(found) == sorted(documented("events") + documented("entries"))
    elif view == "decisions":
        assert found == documented("decisions` and `alerts")
    else:
        assert found == documented(view)


def test_every_example_of_the_page_answers(everything: str) -> None:
    block = PAGE.read_text("utf-8").split("```sql\n", 1)[1].split("```")[0]
    queries = [part for part in block.split("\n\n") if part.strip()]
    assert len(queries) >= 10
    counts = {query.split("\n")[0]: len(answer(everything, query)) for query in queries}
    assert counts["-- programs that were started, and by which line"] == 1
    assert counts["-- every address that was connected to, and when first"] == 1
    assert counts["-- the second argument of os.rename: where to"] == 1
    assert counts["-- what does not decode"] > 5


def test_one_process_is_found_with_all_it_did(everything: str) -> None:
    sql = "SELECT seq, target, refused FROM events WHERE pid = 78"
    assert answer(everything, sql + " ORDER BY entry") == [(2, "/etc/passwd", True)] * 1
    assert answer(everything, sql, index=False) == answer(everything, sql)


def test_decisions_and_alerts_are_typed_whatever_their_maps_hold(everything: str) -> None:
    found = answer(everything, "SELECT kind, pid, line, file FROM decisions ORDER BY entry LIMIT 6")
    assert found[0] == ("denial", 77, 14, "/srv/my app.py")
    assert found[2] == ("5", -1, None, None)
    assert found[3] == (None, None, None, None)
    assert found[5] == (None, None, 1 << 40, "/a")
    alerts = answer(everything, "SELECT rule_id, response, message, package FROM alerts")
    assert alerts == [("ssh-keys", "alert", "Keys were read.", "left-pad")]
    long = answer(everything, "SELECT max(length(target)) FROM decisions")
    assert long == [(1_000_000,)]


def test_runs_have_their_beginning_and_end(everything: str) -> None:
    found = answer(everything, "SELECT kind, program, status, ended_by, drops FROM runs")
    assert sorted(found, key=str) == [
        ("run", "/srv/job.py", 0, "exit", -1), ("watch", NASTY[0], None, None, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/etc/*')",
        "COPY (SELECT 1) TO '/tmp/belljar-must-not-be'",
        "EXPORT DATABASE '/tmp/belljar-must-not-be'",
        "ATTACH '/tmp/belljar-must-not-be'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "RESET enable_external_access",
        "PRAGMA enable_external_access = true",
        "CREATE SECRET s (TYPE s3)",
        "SELECT * FROM sys",
        "SELECT getenv('HOME')",
        "CREATE TABLE t (a INTEGER)",
        "DROP VIEW events",
        "DELETE FROM raw.facts",
        "UPDATE raw.state SET version = 9",
        "SELECT * FROM read_text(getvariable('x'))",
    ],
)
def test_a_query_reads_the_index_and_nothing_else(ledger: str, sql: str) -> None:
    with pytest.raises((UsageError, LedgerError), match="query"):
        answer(ledger, sql)
    assert not os.path.exists("/tmp/belljar-must-not-be")
    assert answer(ledger, "SELECT count(*) FROM entries") == [(6,)]


def test_a_variable_of_this_process_is_no_table(ledger: str) -> None:
    secret = {"a": __import__("numpy").array([1])}
    with (
        Index(ledger) as index,
        connect(index.path) as base,
        pytest.raises(duckdb.CatalogException, match="secret"),
    ):
        base.execute("SELECT * FROM secret")
    with duckdb.connect() as open_to_all:
        assert open_to_all.execute("SELECT * FROM secret").fetchall() == [(1,)]
    assert secret


def test_hostile_text_comes_back_as_it_went_in_and_nothing_of_it_is_run(everything: str) -> None:
    found = answer(
        everything, "SELECT name, file, cwd, args FROM events WHERE seq >= 20 ORDER BY 1"
    )
    names = {row[0] for row in found}
    assert set(NASTY) <= names
    for name, file, cwd, args in found:
        if name in NASTY:
            assert (file, cwd, json.loads(args)) == (name, name, [name])
    assert answer(everything, "SELECT count(*) > 40 FROM raw.facts") == [(True,)]


@pytest.mark.parametrize("view", [*VIEWS, "alerts", "entries"])
@pytest.mark.parametrize("how", ["plain", "json", "csv"])
def test_no_output_can_drive_a_terminal(
    everything: str, view: str, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = [] if how == "plain" else [f"--{how}"]
    status, out, err = run(["query", f"SELECT * FROM {view}", everything, *extra], capsys)
    assert (status, err) == (0, "")
    out = out.replace("\t", " ") if how == "plain" else out
    assert all(line.isprintable() for line in out.split("\n"))
    assert printable("".join(out.split("\n")), 1 << 30) == "".join(out.split("\n"))
    if how == "json":
        assert out.isascii()
        for line in out.splitlines():
            assert isinstance(json.loads(line), dict)


def test_columns_named_by_the_data_are_escaped_too(
    everything: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sql = "PIVOT (SELECT name, pid FROM events) ON name USING count(*)"
    for extra in ([], ["--csv"], ["--json"]):
        status, out, _ = run(["query", sql, everything, *extra], capsys)
        assert status == 0
        assert all(part.isprintable() for part in re.split("[\n\t]", out))


def test_a_spreadsheet_gets_no_formula(everything: str, capsys: pytest.CaptureFixture[str]) -> None:
    sql = "SELECT target, -5 AS number, '  =1' AS spaced FROM decisions"
    _, out, _ = run(["query", sql, everything, "--csv"], capsys)
    csv.field_size_limit(1 << 21)
    table = list(csv.reader(io.StringIO(out)))
    assert table[0] == ["target", "number", "spaced"]
    assert {row[1] for row in table[1:]} == {"-5"}
    cells = [row[0] for row in table[1:]] + [row[2] for row in table[1:]]
    assert not [cell for cell in cells if cell.lstrip()[:1] in ("=", "+", "-", "@", "\t")]
    assert "'=cmd|'/C calc'!A0" in cells
    assert max(map(len, cells)) == 1_000_000


def test_in_a_pipe_nothing_is_cut_and_tabs_part_the_columns(
    everything: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sql = "SELECT entry, verdict, target FROM decisions WHERE verdict='deny' ORDER BY 1 LIMIT 1"
    assert run(["query", sql, everything], capsys)[1] == (
        f"entry\tverdict\ttarget\n{answer(everything, sql)[0][0]}\tdeny\t/etc/passwd\n"
    )
    sql = "SELECT target, length(target) FROM decisions ORDER BY length(target) DESC"
    _, out, _ = run(["query", sql, everything], capsys)
    assert out.splitlines()[1].split("\t") == ["long" * 250_000, "1000000"]


def test_no_value_can_begin_a_column_or_a_row(
    everything: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sql = "SELECT name, cwd, 'a' || chr(9) || 'b' || chr(10) || 'c' AS \"x\ty\" FROM events"
    _, out, _ = run(["query", sql, everything], capsys)
    assert out.splitlines()[0] == "name\tcwd\tx\\x09y"
    assert len(out.splitlines()) == len(answer(everything, sql)) + 1
    assert {line.count("\t") for line in out.splitlines()} == {2}
    assert "a\\x09b\\x0ac" in out


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT TIMESTAMPTZ '2026-01-02 03:04:05+02' AS t", "2026-01-02T01:04:05.000000Z"),
        ("SELECT TIMESTAMPTZ '2026-01-02 03:04:05+02' AS t; -- so", "2026-01-02T01:04:05.000000Z"),
        ("SELECT ';é' || '' AS x, TIMESTAMPTZ 'epoch' AS y, 1 AS t; /* ; */ ;", 1),
        ("SELECT TIMESTAMP '2026-01-02 03:04:05.5' AS t", "2026-01-02T03:04:05.500000Z"),
        ("SELECT [TIMESTAMPTZ '2026-01-02 03:04:05Z'] AS t", ["2026-01-02T03:04:05.000000Z"]),
        ("SELECT {'a': TIMESTAMPTZ '2026-01-02 03:04:05Z'} AS t",
         {"a": "2026-01-02T03:04:05.000000Z"}),
        ("SELECT min(time) AS t FROM events", "2001-09-09T01:46:40.000000Z"),
        ("SELECT DATE '2026-01-02' AS t", "2026-01-02"),
        ("SELECT TIMESTAMPTZ '2026-01-02 03:04:05Z'::VARCHAR AS t", "2026-01-02 03:04:05+00"),
    ],
)  # fmt: skip
def test_times_are_rfc_3339_of_utc_wherever_one_is(
    ledger: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    sql: str, says: object,
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "pytz", None)
    status, out, err = run(["query", sql, ledger, "--json"], capsys)
    assert (status, err) == (0, "")
    assert json.loads(out)["t"] == says


def test_two_times_of_one_name_in_order_come_without_pytz_too(
    ledger: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pytz", None)
    sql = "SELECT epoch_ms(n)::TIMESTAMPTZ AS t, 1 AS t, n FROM range(3) r(n) ORDER BY n DESC"
    _, out, _ = run(["query", sql, ledger], capsys)
    assert out == (
        "t\tt\tn\n1970-01-01T00:00:00.002000Z\t1\t2\n1970-01-01T00:00:00.001000Z\t1\t1\n"
        "1970-01-01T00:00:00.000000Z\t1\t0\n"
    )


def test_values_of_every_type_have_a_form(ledger: str, capsys: pytest.CaptureFixture[str]) -> None:
    sql = (
        "SELECT NULL AS n, true AS t, 1.5::DECIMAL(5,2) AS d, 'nan'::DOUBLE AS f,"
        " '\\xff'::BLOB AS b,"
        " [1, NULL] AS l, {'a': DATE '2026-01-02'} AS s, MAP {'k': 1} AS m, 1 AS x, 2 AS x"
    )
    _, out, _ = run(["query", sql, ledger, "--json"], capsys)
    assert json.loads(out) == {
        "n": None, "t": True, "d": "1.50", "f": "nan", "b": "ff", "l": [1, None],
        "s": {"a": "2026-01-02"}, "m": {"k": 1}, "x": 1, "x_2": 2,
    }  # fmt: skip
    _, out, _ = run(["query", sql, ledger], capsys)
    assert out.splitlines()[1].split("\t") == [
        "", "true", "1.50", "nan", "ff", "[1, null]", '{"a": "2026-01-02"}', '{"k": 1}', "1", "2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sql", "status", "says"),
    [
        ("SELEC", 2, "syntax error"),
        ("SELECT nothing FROM events", 2, "nothing"),
        ("SELECT * FROM nowhere", 2, "nowhere"),
        ("", 2, "there is no SQL in it"),
        (" ; -- nothing", 2, "there is no SQL in it"),
        ("SELECT '\udcff'", 2, "no UTF-8"),
        ("SELECT 1; SELECT 2", 2, "only one statement"),
        ("SELECT 1; DROP VIEW events", 2, "only one statement"),
        ("SELECT INTERVAL 100000000 YEAR", 1, "cast it to VARCHAR"),
        ("SELECT error('\x1b[31mx')", 1, "\\x1b[31mx"),
        ("SELECT name::INTEGER FROM events", 1, "the query failed"),
    ],
)
def test_what_goes_wrong_is_one_escaped_line(
    ledger: str, capsys: pytest.CaptureFixture[str], sql: str, status: int, says: str
) -> None:
    found, out, err = run(["query", sql, ledger], capsys)
    assert (found, out) == (status, "")
    assert says in err
    assert err.count("\n") == 1
    assert "\x1b" not in err


def test_json_and_csv_together_are_refused(ledger: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["query", "SELECT 1", ledger, "--json", "--csv"], capsys)[0] == 2


def test_without_the_extra_one_line_names_it(
    ledger: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for missing in ("duckdb", "numpy"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, missing, None)
            status, out, err = run(["query", "SELECT 1", ledger], capsys)
        assert (status, out) == (1, "")
        assert err == (
            f"belljar: this needs {missing}: install it with pip install 'belljar[query]'\n"
        )


def on_a_terminal(sql: str, directory: str, columns: int) -> str:
    import pty

    main_end, end = pty.openpty()
    code = "import sys; from belljar.cli import main; sys.exit(main())"
    environ = {**os.environ, "NO_COLOR": "1", "TERM": "xterm", "COLUMNS": str(columns)}
    done = subprocess.Popen(
        [sys.executable, "-c", code, "log", "query", sql, directory], stdout=end, env=environ
    )
    os.close(end)
    shown = b""
    while True:
        try:
            part = os.read(main_end, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(main_end)
    assert done.wait() == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.decode())


def test_on_a_terminal_the_table_is_drawn_and_escaped(everything: str) -> None:
    sql = "SELECT name, args, cwd FROM events WHERE seq >= 20 AND seq < 40"
    text = on_a_terminal(sql, everything, 120)
    assert "name" in text.splitlines()[1]
    assert all(line.isprintable() for line in text.split("\r\n"))
    assert "\\x1b]0;owned" in text


def test_on_a_terminal_a_row_too_wide_for_it_is_a_block_of_lines(everything: str) -> None:
    text = on_a_terminal("SELECT * FROM entries ORDER BY entry", everything, 80)
    assert text.startswith("entry     1\r\nkind      start\r\ntime      2001-09-09T01:46:40")
    assert "\r\n\r\nentry     2\r\nkind      hello\r\n" in text
    assert all(line.isprintable() for line in text.split("\r\n"))
    assert "more)..." in text


def test_what_an_indexed_row_says_is_not_sql_in_any_later_build(tmp_path: Path) -> None:
    directory = str(tmp_path / "ledger")
    with Writer(directory) as writer:
        for number, text in enumerate(NASTY * 3):
            writer.append([(EVENTS, 1, event(text, [text], seq=number))], RUN)
            with Index(directory):
                pass
    assert answer(directory, "SELECT count(*), count(DISTINCT name) FROM events") == [
        (30, len(NASTY))
    ]


def test_the_connection_is_locked(ledger: str) -> None:
    with Index(ledger) as index, connect(index.path) as base:
        settings = dict(base.execute("SELECT name, value FROM duckdb_settings()").fetchall())
        for name in (
            "enable_external_access", "autoload_known_extensions", "autoinstall_known_extensions",
            "allow_community_extensions", "allow_unsigned_extensions",
            "python_enable_replacements",
        ):  # fmt: skip
            assert settings[name] == "false", name
        assert settings["lock_configuration"] == "true"
        with pytest.raises(duckdb.Error):
            base.execute("SET threads = 1")
