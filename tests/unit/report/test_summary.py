"""The summary tells by package what happened, on one screen, and escapes all of it."""

from __future__ import annotations

import pytest

from belljar.events.declaration import read
from belljar.events.declared import forget, register
from belljar.model import Event, Frame
from belljar.report.effects import effect, tells_nothing
from belljar.report.summary import Summary
from belljar.watch.findings import Finding

DECLARED = """
schema = 1
[event."bank.pay"]
arguments = ["to: str"]
target = "to"
"""


class Told:
    """A summary that takes events of one process whose program runs already."""

    def __init__(self, **options):
        self.summary = Summary("/w", "/home/me", **options)
        self.summary.packages.begins(7, runs=True)

    def event(
        self, name, *args, package="", right=None, target=None, file="/w/job.py", pid=7, **more
    ):
        stack = (Frame(file, 3, "f"),) if file else ()
        one = Event(1, 0, pid, 7, name, args, right, target, more.get("asked", target), stack)
        self.summary.packages.apply(pid, 7, package, effect(one))

    def read(self, path, **more):
        self.event("open", path, "r", 0, right="read", target=path, **more)

    def write(self, path, **more):
        self.event("open", path, "w", 577, right="write", target=path, **more)

    def lines(self, *args, **options):
        return self.summary.lines(*args, **options)

    def rows(self, *args, **options):
        return [line.strip() for line in self.lines(*args, **options)[1:]]


@pytest.fixture
def told():
    return Told()


def test_every_package_has_a_block_and_the_most_telling_comes_first(told):
    told.read("/data/x")
    told.read("/data/y", package="quiet 1.0")
    told.event("socket.connect", package="loud 2.0", right="connect", target="10.0.0.1:80")
    assert told.rows() == [
        "loud 2.0", "network  connect 10.0.0.1:80",
        "the program", "read     /data/x",
        "quiet 1.0", "read     /data/y",
    ]  # fmt: skip


def test_within_a_package_network_programs_and_native_code_stand_before_files(told):
    told.read("/r")
    told.write("/n")
    told.event("exec_", package="")
    told.event("os.remove", "/old", -1, right="write", target="/old")
    told.event("compile", "x =\n call()", "<t>")
    told.event("ctypes.dlopen", "libc.so.6", right="native", target="libc.so.6")
    told.event("os.system", "ls", right="run", target="/bin/sh")
    told.event("socket.bind", right="bind", target="0.0.0.0:80")
    kinds = [line.split()[0] for line in told.rows()[1:]]
    assert kinds == ["network", "started", "native", "removed", "wrote", "code", "read", "raised"]


def test_libraries_being_read_are_one_line(told):
    for path in (
        "/usr/lib/python3.11/json/x.py", "/w/__pycache__/a.pyc", "/v/pyvenv.cfg",
        "/v/lib/python3.11/site-packages/numpy/core.so",
    ):  # fmt: skip
        told.read(path, package="standard library")
    told.read("/w/data", package="")
    assert told.rows() == ["the program", "read     ./data", "also  4 looks into libraries"]


def test_data_of_an_installed_package_is_no_library(told):
    told.read("/v/lib/python3.11/site-packages/certifi/cacert.pem", package="certifi 1")
    assert told.rows()[1] == "read     /v/lib/python3.11/site-packages/certifi/cacert.pem"


def test_what_the_interpreter_reads_to_start_is_folded_until_its_program_runs(told):
    told.read("/srv/app", package="interpreter", pid=8)
    told.read("/srv/lib", package="standard library", pid=8)
    told.event("cpython.run_file", "/srv/job.py", right="code", target="/srv/job.py", pid=8)
    told.read("/srv/job.py", package="interpreter", pid=8)
    told.read("/srv/late", package="standard library", pid=8)
    assert told.rows() == ["standard library", "read     /srv/late", "also  3 looks into libraries"]


def test_text_that_runs_before_the_program_is_not_taken_for_it(told):
    told.read("/home/me/.ssh/id", package="", file="<string>", pid=8)
    assert told.rows() == ["interpreter", "read     ~/.ssh/id"]


def test_imports_name_what_is_not_of_the_standard_library(told):
    for name in ("json", "numpy", "numpy.core", "helper"):
        told.event("import", name, None, right="import", package="numpy 2.0")
    told.event("import", "json", None, right="import", package="standard library")
    told.read("/x", package="numpy 2.0")
    told.event("import", "six", None, right="import", package="attrs 1.0")
    assert told.rows() == [
        "numpy 2.0", "read     /x", "imports  helper, of 4 modules",
        "only imports  attrs 1.0",
        "also  1 import by the standard library",
    ]  # fmt: skip


def test_a_c_module_from_an_unusual_place_is_native_code(told):
    told.event("import", "fast", "/tmp/fast.so", right="import", package="")
    told.event("import", "np", "/v/lib/python3.11/site-packages/np.so", right="import")
    assert told.rows()[:2] == ["the program", "native   C module /tmp/fast.so"]


def test_code_from_text_is_told_and_code_from_files_is_not(told):
    told.event("compile", b"x = 1", "/w/job.py")
    told.event("compile", "whole program", "<string>", file=None)
    told.event("compile", "x =\n f(2)", "<string>")
    assert told.rows() == ["the program", "code     ./job.py:3: x = f(2)"]


@pytest.mark.parametrize(
    "source",
    [
        "lambda _cls, x, y: _tuple_new(_cls, (x, y,))",
        "def __create_fn__(_a):\n def __eq__(self): ...",
        "typing.Optional[int]",
        "str | None",
    ],
)
def test_what_named_tuples_dataclasses_and_annotations_compile_is_counted_only(told, source):
    told.event("compile", source, "<string>")
    assert told.rows() == ["also  1 text compiled for named tuples and the like"]


@pytest.mark.parametrize("source", ["import evil", "evil()", "lambda _cls, x=evil(): 1", "a; b()"])
def test_what_only_resembles_them_is_told(told, source):
    told.event("compile", source, "<string>")
    assert told.rows() == ["the program", f"code     ./job.py:3: {source}"]


def test_a_program_is_told_once_though_two_events_name_it(told):
    argv = ("/bin/ls", "-l")
    inner = "/usr/lib/python3.13/subprocess.py"
    told.event("subprocess.Popen", "/bin/ls", argv, None, None, right="run")
    told.event("os.posix_spawn", "/bin/ls", argv, (), right="run", file=inner)
    told.event("os.posix_spawn", "/bin/ls", argv, (), right="run")
    assert told.rows() == ["the program", "started  /bin/ls -l (2 times)"]


def test_files_that_were_made_and_are_gone_again_are_counted(told):
    told.write("/tmp/a")
    told.read("/tmp/a")
    told.event("os.remove", "/tmp/a", -1, right="write", target="/tmp/a")
    told.write("/w/b.tmp", package="standard library")
    told.write("/w/b.tmp")
    told.event("os.rename", "/w/b.tmp", "/w/b", -1, -1, right="write", target="/w/b")
    told.event("os.rmdir", "/w/mine", -1, right="write", target="/w/mine")
    assert told.rows() == [
        "the program", "removed  ./mine", "wrote    ./b, 1 temporary file",
    ]  # fmt: skip


def test_application_events_are_told_by_name(told):
    for amount in (1, 2):
        told.event("shop.refund", amount, package="shop 1.0")
    assert told.rows() == ["shop 1.0", "raised   shop.refund (2 times)"]


def test_declared_application_events_are_told_with_their_target(told):
    register(read(DECLARED, "bank 1"))
    try:
        for _ in range(3):
            told.event("bank.pay", "ann", target="ann")
        assert told.rows() == ["the program", "raised   bank.pay ann (3 times)"]
        assert b"bank.pay" not in tells_nothing()
    finally:
        forget()


def test_what_pickle_looks_up_has_a_name(told):
    told.event("pickle.find_class", "collections", "OrderedDict", target="collections")
    assert told.rows() == ["the program", "code     unpickled collections.OrderedDict"]


def test_many_paths_that_events_do_not_tell_are_one_line(told):
    for number in range(400):
        told.event("open", f"test_{number:03}", None, 0, right="read", asked=f"test_{number:03}")
    told.event("os.mkdir", "x", 511, 5, right="write", asked="x")
    assert told.rows() == [
        "the program",
        "untold   os.mkdir x, read test_000, test_001 and 398 more (400 times)",
    ]


def test_a_path_that_the_event_does_not_tell_is_said_to_be_untold(told):
    one = Event(1, 0, 7, 7, "os.mkdir", ("x", 511, 5), "write", None, "x", (Frame("/w/j", 1, "f"),))
    told.summary.packages.apply(7, 7, "", effect(one))
    assert told.rows() == ["the program", "untold   os.mkdir x"]


@pytest.mark.parametrize("width", [80, 100])
def test_any_number_of_things_stays_on_one_screen(told, width):
    for number in range(60):
        for package in range(30):
            place = f"/srv/{'x' * (number % 7)}/{package}/{number}"
            told.read(place + "/data.bin", package=f"p{package} 1.0")
            told.write(place + "/out.bin", package=f"p{package} 1.0")
        told.event("socket.connect", right="connect", target=f"10.0.0.{number}:80")
    findings = [Finding("gap", 7, n, n + 1) for n in range(40)]
    lines = told.lines(findings, width=width)
    assert len(lines) <= 40
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "and 32 more findings" in text
    assert "connect 10.0.0.0:80" in text
    assert "and  p" in text


def test_what_finds_no_room_is_counted(told):
    for number in range(300):
        told.event("socket.connect", right="connect", target=f"10.0.{number}.1:80")
    row = " ".join(told.rows())
    shown = row.count("connect 10.0")
    assert f"and {300 - shown} more" in row


def test_what_deceives_is_escaped(told):
    told.write("/w/\x1b[2J\u202e")
    told.event("subprocess.Popen", "x", ("\x1b[31m\n",), None, None, right="run")
    told.event("socket.getaddrinfo", "e\x07", right="resolve", target="e\x07")
    told.event("compile", "f('\x1b]0;x')", "<t>", file="/w/\x1b.py")
    told.event("shop.\x1bc", package="\x1b[1mpip")
    told.summary.packages.shadows["/w/\x1b.py"] = "random"
    text = "".join(told.lines([Finding("ledger", 0, 0, 0, "a\x1b\nb")], ["alert \x9b"]))
    assert text.isprintable()
    assert "\\x1b[2J\\u202e" in text


def test_a_file_that_is_imported_in_place_of_a_standard_module_is_flagged(told):
    from belljar.events.targets import Code

    told.event("import", "random", None, right="import")
    told.event("exec", Code("/w/random.py", "<module>", 1), right="code")
    told.event("import", "pkg.token", None, right="import")
    told.event("exec", Code("/w/pkg/token.py", "<module>", 1), right="code")
    told.event("import", "json", None, right="import")
    told.event("exec", Code("/usr/lib/python3.11/json/__init__.py", "<module>", 1), right="code")
    assert [line for line in told.rows() if "finding" in line] == [
        "finding: ./random.py stands in front of the standard module random"
    ]


def test_the_headline_tells_how_much_and_how_it_ended(told):
    told.summary.events, told.summary.refused = 12, 1
    head = told.lines(ended="ended by SIGSEGV")[0]
    assert head == "belljar: 12 events announced by 0 processes, 1 refused, ended by SIGSEGV"


def test_what_rules_refused_is_no_alert_of_the_headline(told):
    told.summary.refusals = 1
    assert told.lines(alerts=["a"])[0].endswith(", 1 refused")
    assert told.lines(alerts=["a", "b"])[0].endswith(", 1 refused, 1 alert")


def test_a_long_finding_is_wrapped(told):
    finding = Finding("ledger", 0, 0, 0, "word " * 30)
    lines = told.lines([finding], width=80)[1:]
    assert (len(lines), lines[1][:6]) == (2, "  word")
    assert max(map(len, lines)) <= 80


def test_colour_is_only_where_it_was_asked_for(told):
    told.event("socket.connect", right="connect", target="10.0.0.1:80")
    assert "\x1b" not in "".join(told.lines())
    coloured = told.lines(colour=True)
    assert coloured[0].startswith("\x1b[1m")
    assert coloured[2] == "\x1b[33m  network  \x1b[0mconnect 10.0.0.1:80"


def test_memory_is_bounded_whatever_the_program_does(told):
    for number in range(30_000):
        told.write(f"/srv/{number % 9000}/{number}")
    for number in range(700):
        told.read("/x", package=f"p{number} 1")
    packages = told.summary.packages.all
    assert len(packages) <= 502
    assert len(packages[""].rows["write"]) <= 10_001
    assert sum(packages[""].rows["write"].values()) == 30_000
    assert len(told.lines()) <= 40
