"""Prove the catalogue of audit events against interpreters: `python tools/prove --help`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from judge import judge, print_report
from recorded import Record, different, has_test, run
from strings import candidates

TESTS = (
    "test_audit", "test_os", "test_io", "test_socket", "test_subprocess", "test_ctypes",
    "test_import", "test_importlib", "test_sqlite3", "test_urllib", "test_urllib2", "test_pickle",
    "test_mmap", "test_tempfile", "test_shutil", "test_multiprocessing_spawn", "test_threading",
    "test_interpreters", "test_fcntl", "test_glob", "test_pathlib", "test_gc", "test_marshal",
    "test_code", "test_array", "test_signal", "test_resource", "test_syslog", "test_ftplib",
    "test_httplib", "test_imaplib", "test_poplib", "test_smtplib", "test_nntplib",
    "test_telnetlib", "test_webbrowser", "test_pdb", "test_pty", "test_posix", "test_thread",
    "test_monitoring", "test_faulthandler", "test_cmd_line", "test_builtin", "test_sys",
    "test_ensurepip", "test_bdb", "test_funcattrs", "test_asyncgen",
)  # fmt: skip
QUICK = ("test_audit", "test_glob", "test_funcattrs", "test_fcntl")
RERUNS = 3


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/prove", description=__doc__)
    parser.add_argument("--python", action="append", required=True, help="an interpreter")
    parser.add_argument("--tests", help="names of test modules, with commas between")
    parser.add_argument("--quick", action="store_true", help="a few modules: under a minute")
    parser.add_argument("--to", type=Path, required=True, help="folder for results and logs")
    parser.add_argument("--resume", action="store_true", help="go on from results that lie there")
    parser.add_argument("--judge-only", action="store_true", help="judge results that lie there")
    parser.add_argument("--figures", type=Path, help="write the figures for the page there, too")
    options = parser.parse_args()
    tests = tuple(options.tests.split(",")) if options.tests else QUICK if options.quick else TESTS
    options.to.mkdir(parents=True, exist_ok=True)
    status = 0
    figures: dict[str, dict[str, object]] = {}
    for python in options.python:
        version = _version(python)
        place = options.to / f"{version}.json"
        if not options.judge_only:
            collect(python, version, tests, options.to, resume=options.resume)
        result = json.loads(place.read_text("utf-8"))
        try:
            seen, unknown = candidates(python)
        except ValueError as error:
            print(f"CPython {version}: machine code not searched: {error}")
            seen, unknown = set(), set()
        result |= {"strings": sorted(seen), "unknown": sorted(unknown)}
        place.write_text(json.dumps(result, indent=1), "utf-8")
        verdict = judge(result)
        print_report(result, verdict)
        figures[version] = verdict.figures(result)
        status = status or int(bool(verdict.wrong))
    if options.figures:
        old = json.loads(options.figures.read_text("utf-8")) if options.figures.exists() else {}
        text = json.dumps(dict(sorted((old | figures).items())), indent=1)
        options.figures.write_text(text + "\n", "utf-8")
    return status


def collect(
    python: str, version: str, tests: tuple[str, ...], to: Path, *, resume: bool = False
) -> None:
    """Run every module with and without the recorder; results go to `to`/VERSION.json."""
    record = Record()
    modules: dict[str, dict[str, object]] = {}
    changed: dict[str, str] = {}
    missing = [name for name in tests if not has_test(python, name)]
    if resume and (to / f"{version}.json").exists():
        before = json.loads((to / f"{version}.json").read_text("utf-8"))
        record.resume(before)
        modules, changed = before["modules"], before["changed"]
    for name in tests:
        if name in missing or name in modules:
            continue
        log = f"{to / version}-{name}"
        plain = run(python, name, None, Path(f"{log}.plain.log"))
        recorded = run(python, name, record, Path(f"{log}.log"))
        wrong = different(plain, recorded)
        for test in sorted(wrong):
            changed |= _again(python, name, test, record, log)
        modules[name] = {"status": recorded.status, "tests": len(recorded.tests),
                         "differed": sorted(wrong)}  # fmt: skip
        print(f"{version} {name}: {len(recorded.tests)} tests, differed {len(wrong)}", flush=True)
        result = {
            "version": version, "modules": modules, "missing": missing, "changed": changed,
            "counts": record.counts, "findings": record.findings,
            "shapes": {name: sorted(shapes) for name, shapes in record.shapes.items()},
        }  # fmt: skip
        (to / f"{version}.json").write_text(json.dumps(result, indent=1), "utf-8")


def _again(python: str, name: str, test: str, record: Record, log: str) -> dict[str, str]:
    """A test that differed, alone, some times: {test: what} if the recorder makes the difference.

    A test that ends the same way with and without the recorder even once is taken for one that
    depends on the time of day.
    """
    only = () if test == "(the run)" else (test,)
    kinds: tuple[set[str], set[str]] = (set(), set())
    for _ in range(RERUNS):
        for kind, into in ((kinds[0], None), (kinds[1], record)):
            suffix = ".again.plain.log" if into is None else ".again.log"
            outcome = run(python, name, into, Path(log + suffix), only)
            found = outcome.tests.get(test) if only else None
            kind.add(found or f"exit status {outcome.status}")
        if kinds[0] & kinds[1]:
            return {}
    return {f"{name}: {test}": f"{sorted(kinds[0])} became {sorted(kinds[1])}"}


def _version(python: str) -> str:
    import subprocess

    code = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
    return subprocess.run([python, "-I", "-c", code], capture_output=True, text=True,
                          check=True).stdout.strip()  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
