"""The demo: an honest script and a hostile one over the same data, without and with Belljar.

`make demo` builds Belljar and the data into .venv and runs this. Exit status 0 when the honest
result is what an unconfined run gives and no attack had an effect, else 1.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "demo"
OUT = DEMO / "out"
RECORD = DEMO / "record"
STATE = DEMO / ".state"  # the keys that the record is known by: each demo begins a new one
BELLJAR = os.environ.get("BELLJAR") or str(Path(sys.executable).parent / "belljar")
SECRET = Path.home() / ".belljar-demo-secret"
SECRET_TEXT = "belljar-demo: the combination is 4-8-15-16-23-42\n"
WIDTH = 100
COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
ATTACKS = (
    ("read", "read a secret in the home directory"),
    ("list", "list /"),
    ("connect", "carry the loot to 127.0.0.1"),
    ("run", "start a shell that leaves a file"),
    ("write", "write beside the script"),
)


def paint(text, colour):
    return f"\x1b[{CODES[colour]}m{text}\x1b[0m" if COLOUR else text


def title(text):
    print(f"\n{paint('== ' + text, 'bold')}\n")


def say(text):
    print(textwrap.fill(text, WIDTH))


def short(path):
    """A path as a person would type it at the top of the repository."""
    text = str(path)
    return text.removeprefix(f"{ROOT}/") if text.startswith(f"{ROOT}/") else text


def show_command(words):
    """The command as one can type it, an option with its value on each line."""
    lines, current = [], "$ " + " ".join(words[:2])
    rest = [short(word) for word in words[2:]]
    while rest:
        option = rest[0].startswith("--") and len(rest) > 1 and not rest[1].startswith("--")
        part = " ".join(rest[: 2 if option else 1])
        del rest[: 2 if option else 1]
        if len(current) + len(part) + 3 > WIDTH:
            lines.append(current + " \\")
            current = "     "
        current += " " + part
    print(paint("\n".join([*lines, current]), "cyan") + "\n")


def show(text, shade=None):
    """Output of a program, indented, wrapped where it would not fit."""
    hang = 10  # where the text of a denial begins
    for line in text.rstrip("\n").split("\n"):
        if line.startswith("tier:"):
            hang = 23  # the third column of the receipt
        parts = textwrap.wrap(
            line, WIDTH - 2, subsequent_indent=" " * hang, drop_whitespace=False,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
        for part in parts or [""]:
            print(("  " + coloured(part.rstrip(), shade)).rstrip())


def coloured(line, shade):
    if line.startswith(("denied[", "hostile:")):
        head, colon, rest = line.partition(":")
        return paint(head + colon, "red") + rest
    for level, colour in (("full", "green"), ("partial", "yellow"), ("none", "red")):
        if line[14:22].strip() == level and line.startswith("  "):
            return line[:14] + paint(line[14:22], colour) + line[22:]
    return paint(line, shade) if shade else line


class Listener:
    """Somebody on 127.0.0.1 who waits for what is carried away."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.got = b""
        self.visits = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            link, _ = self._socket.accept()
            self.visits += 1
            with link:
                while data := link.recv(1 << 16):
                    self.got += data

    def wait(self, visits, seconds=5):
        """Until so many have come and gone, or the time is over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and (self.visits < visits or not self.got):
            time.sleep(0.01)


def find_data():
    import tzdata

    folder = Path(tzdata.__file__).resolve().parent / "zoneinfo"
    for name in ("zone1970.tab", "iso3166.tab"):
        if not (folder / name).is_file():
            sys.exit(f"demo: {folder} has no {name}; a newer tzdata package does")
    return folder, tzdata.IANA_VERSION


def results(folder):
    return {name: (folder / name).read_bytes() for name in ("zones.csv", "summary.json")}


def plain_run(script, data, listener):
    """Run a copy of `script` with no Belljar, in a directory that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="belljar-demo-") as place:
        place = Path(place)
        for name in ("analysis.py", "hostile.py"):
            shutil.copy(DEMO / name, place)
        out = place / "out"
        out.mkdir()
        run = subprocess.run(
            [sys.executable, "-B", place / script, data, out],
            env={**os.environ, "TELEMETRY": listener.address},
            capture_output=True, text=True, encoding="utf-8", check=True,
        )  # fmt: skip
        effects = {
            "shell": (out / ".cache").exists(),
            "plugin": (place / "plugin.py").exists(),
        }
        return run, results(out), effects


def confined_run(script, data, listener, *more):
    """Run `script` under Belljar, from the top of the repository; show the command."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    # the interpreter without the environment: tzdata's own package is no part of the runtime then,
    # and is readable because it is granted, not because it is installed
    python = getattr(sys, "_base_executable", sys.executable)
    words = ["belljar", "run", "--policy", str(DEMO / "policy.toml"), "--python", python]
    words += ["--read", str(data), "--write", str(OUT), "--ledger", str(RECORD)]
    words += [*more, str(DEMO / script), str(data), str(OUT)]
    show_command(words)
    with tempfile.NamedTemporaryFile("r", prefix="belljar-demo-", suffix=".json") as result:
        began = time.monotonic()
        run = subprocess.run(
            [BELLJAR, "run", "--result", result.name, *words[2:]],
            cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False,
        )  # fmt: skip
        took = time.monotonic() - began
        # read by name: belljar replaces the file, the open one is the old one
        typed = Path(result.name).read_text("utf-8")
    if not typed:
        sys.exit(f"demo: belljar did not run it (status {run.returncode}): {run.stderr}")
    return run, json.loads(typed), took


def belljar(*words):
    show_command(["belljar", *words])
    run = subprocess.run(
        [BELLJAR, *words], cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False
    )
    return run.returncode, run.stdout + run.stderr


class Checks:
    """What has to hold, and whether it did."""

    def __init__(self):
        self.rows = []

    def add(self, text, holds):
        self.rows.append((text, bool(holds)))

    def show(self):
        for text, holds in self.rows:
            mark = paint("ok  ", "green") if holds else paint("FAIL", "red")
            print(f"  {mark}  {text}")
        return all(holds for _, holds in self.rows)


def main():
    if not os.path.exists(BELLJAR):
        sys.exit("demo: belljar is not installed here; run `make demo`")
    listener = Listener()
    shutil.rmtree(RECORD, ignore_errors=True)
    shutil.rmtree(STATE, ignore_errors=True)
    os.environ["XDG_STATE_HOME"] = str(STATE)
    existed = SECRET.exists()
    if existed and SECRET.read_text("utf-8") != SECRET_TEXT:
        sys.exit(f"demo: {SECRET} exists and is not the demo's; move it away")
    SECRET.write_text(SECRET_TEXT, "utf-8")
    try:
        return tell(listener)
    finally:
        SECRET.unlink()


def tell(listener):
    checks = Checks()
    data, version = find_data()

    title("The data and the two scripts")
    say(
        f"zone1970.tab and iso3166.tab of the IANA time-zone database {version}, from the tzdata "
        f"package. demo/analysis.py reads them, prints a report, writes two files. demo/hostile.py "
        f"does the same, and five things more, each of them disguised:"
    )
    print()
    for number, (_, what) in enumerate(ATTACKS, 1):
        print(f"  {number}. {what}")

    title("Without Belljar, in a directory that is thrown away")
    honest, expected, _ = plain_run("analysis.py", data, listener)
    loose, _, effects = plain_run("hostile.py", data, listener)
    listener.wait(1)
    carried = all(word.encode() in listener.got for word in (SECRET_TEXT, *os.listdir("/")))
    show(loose.stderr)
    print(
        f"  127.0.0.1 received {len(listener.got)} bytes, "
        + ("the secret and the names in / among them" if carried else "not what was expected")
    )
    checks.add(
        "without Belljar all 5 attacks work (so what follows proves something)",
        loose.stderr.strip().endswith("5 of 5 worked") and carried and all(effects.values()),
    )
    visits = listener.visits

    title("The honest script under Belljar: reads that one directory, writes out/")
    run, result, took = confined_run("analysis.py", data, listener)
    show(run.stdout, "dim")
    if run.stderr:
        show(run.stderr)
    print(f"\n  exit status {run.returncode}, {took * 1000:.0f} ms in all")
    same = run.stdout == honest.stdout and results(OUT) == expected
    checks.add("the honest result is the same, byte for byte, with and without Belljar", same)
    checks.add("the honest script saw no denial", run.returncode == 0 and not result["denials"])

    title("The hostile script under Belljar: the same grants")
    run, result, took = confined_run(
        "hostile.py", data, listener, "--env", f"TELEMETRY={listener.address}", "--receipt"
    )
    denials, _, receipt = run.stderr.partition("tier: ")
    own = [line for line in denials.splitlines() if line.startswith("hostile:")]
    ours = [line for line in denials.splitlines() if line not in own]
    count = len(run.stdout.splitlines())
    print(
        f"What the script says (and its report, the same {count} lines as above, left out here):\n"
    )
    show("\n".join(own))
    print("\nWhat Belljar says:\n")
    show("\n".join(ours))
    print(f"\n  exit status {run.returncode}, {took * 1000:.0f} ms in all")
    listener.wait(visits + 1, 0.3)
    same = run.stdout == honest.stdout and results(OUT) == expected
    checks.add("the hostile script did its honest part as well", run.returncode == 0 and same)
    told = {(row["right"], row["target"]): row for row in result["denials"]}
    wanted = (str(SECRET), "/", listener.address, "/bin/sh", "/plugin.py")
    for (right, what), target in zip(ATTACKS, wanted, strict=True):
        rows = [r for (kind, on), r in told.items() if kind == right and on.endswith(target)]
        numbers = ", ".join(f"record #{row['record']}" for row in rows)
        if right == "connect" and result["receipt"]["tier"] == "landlock":
            # without a network namespace no socket can be made: there is no event to be denied
            checks.add(f"refused by the wall alone: {what}", listener.visits == visits)
        else:
            checks.add(f"denied, and on record: {what} ({numbers})", rows)
    checks.add("no attack had an effect: by its own account", "0 of 5 worked" in run.stderr)
    checks.add("no attack had an effect: nothing reached 127.0.0.1", listener.visits == visits)
    checks.add("no attack had an effect: the shell left no file", not (OUT / ".cache").exists())
    checks.add(
        "no attack had an effect: nothing was written beside the script",
        sorted(p.name for p in DEMO.glob("*.py")) == ["analysis.py", "demo.py", "hostile.py"],
    )

    title("The receipt: what enforced it on this machine, the weakest first")
    show("tier: " + receipt)
    rows = result["receipt"]["protections"]
    walls = ("files", "network", "processes", "syscalls", "wall", "output")
    checks.add(f"full: {', '.join(walls)}", all(rows[n]["level"] == "full" for n in walls))

    title("The record")
    status, text = belljar("log", "verify", short(RECORD))
    show(text)
    checks.add("the record is whole", status == 0 and text.startswith("whole"))
    last = max(row["record"] or 0 for row in result["denials"])
    print()
    status, text = belljar("log", "tail", short(RECORD), "-n", "12")
    show("\n".join(line[: WIDTH - 3] for line in text.splitlines()), "dim")
    print()
    status, text = belljar("log", "show", str(last), short(RECORD))
    show("\n".join(line[: WIDTH - 3] for line in text.splitlines()), "dim")

    title("Checks")
    whole = checks.show()
    print()
    say(
        f"Look around: {short(DEMO)}/analysis.py, hostile.py, policy.toml; the results in "
        f"{short(OUT)}/; the record in {short(RECORD)}/."
    )
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
