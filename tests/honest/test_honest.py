"""Ordinary programs do the same inside as outside.

Each file of `programs/` says in its first comments: `flags` of `belljar run`, `args`, `stdin`,
`env`, `status`, `form` (module or code instead of a script), what it `prints`, and `stderr: same`
where standard error is compared, too. `{data}`, `{out}`, `{port}` (an echo service) and `{http}`
(a web server) are the test's own. `needs` are modules that must be installed, `denials: some` says
that it may ask for what it can do without. Programs of `heavy/` have dependencies of their own
(`pip install --group honest`) and run with `BELLJAR_HONEST=heavy`.
"""

from __future__ import annotations

import http.server
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

HERE = Path(__file__).parent
HEAVY = os.environ.get("BELLJAR_HONEST") == "heavy"
PROGRAMS = sorted((HERE / ("heavy" if HEAVY else "programs")).glob("*.py"))
MUST_WORK = os.environ.get("BELLJAR_MUST_WORK") == "1"
COMMAND = [sys.executable, "-c", "import sys; from belljar.cli import main; sys.exit(main())"]
HEADER = re.compile(
    r"# (flags|args|stdin|env|status|form|prints|stderr|compare|needs|denials):(?: (.*))?"
)


class Program:
    """A program's file, taken apart."""

    def __init__(self, path: Path, facts: dict[str, str]) -> None:
        said: dict[str, list[str]] = {"prints": []}
        for line in path.read_text().splitlines():
            match = HEADER.fullmatch(line)
            if not match:
                break
            text = match[2] or ""
            for name, value in facts.items():
                text = text.replace("{" + name + "}", value)
            said.setdefault(match[1], []).append(text)
        self.path = path
        self.flags = shlex.split(said["flags"][0])
        self.args = shlex.split(said.get("args", [""])[0])
        self.stdin = said.get("stdin", [os.devnull])[0]
        self.env = dict(pair.split("=") for pair in shlex.split(said.get("env", [""])[0]))
        self.status = int(said.get("status", ["0"])[0])
        self.prints = "".join(f"{line}\n" for line in said["prints"] if line)
        self.stderr = "stderr" in said
        self.asks_more = "denials" in said
        self.needs = said.get("needs", [""])[0].split()
        self.ends_with = "compare" in said
        form = shlex.split(said.get("form", [f"script {path.name}"])[0])
        self.words = {"script": [], "module": ["-m"], "code": ["-c"]}[form[0]] + form[1:]


def lay_out(root: Path, program: Path) -> None:
    work = root / "work"
    for name in ("work/package", "data/deep/er", "out"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (work / program.name).write_bytes(program.read_bytes())
    (work / "beside.py").write_text("WHERE = 'from beside'\n\n\ndef answer():\n    return 42\n")
    (work / "package/__init__.py").write_text("")
    (work / "package/inner.py").write_text("NAME = 'inner'\n")
    (work / "package/data.txt").write_text("inner data")
    (work / "package/run.py").write_text(
        "import sys\nfrom importlib import resources\nfrom . import inner\n"
        "print(__spec__.name, __name__, sys.argv[1:], "
        "resources.files('package').joinpath('data.txt').read_text())\n"
        "assert inner.NAME == 'inner'\n"
    )
    data = root / "data"
    (data / "lines.txt").write_text("a\nbbb\nccccc\n")
    (data / "sales.csv").write_text("region,amount\nnorth,10\nsouth,12\nnorth,20\n")
    (data / "config.json").write_text(json.dumps({"keys": ["a", "b"]}))
    (data / "unïcode ☃.txt").write_text("snow")
    (data / "deep/er/leaf.txt").write_text("leaf")
    clear(root)


def clear(root: Path) -> None:
    subprocess.run(["/bin/rm", "-rf", str(root / "out")], check=True)
    (root / "out").mkdir()
    if (root / "work/write_file_grant.py").exists():
        (root / "out/kept.txt").write_text("old")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """An echo service on the host's loopback."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)

        def echo(peer: socket.socket) -> None:
            with peer:
                while data := peer.recv(65536):
                    peer.sendall(data)

        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=echo, args=(peer,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


class Answers(http.server.BaseHTTPRequestHandler):
    """A small web server of the host's."""

    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        found = self.path.startswith("/answer")
        self.answer(200 if found else 404, b'{"answer": 42}' if found else b"{}")

    def do_POST(self) -> None:
        self.answer(200, self.rfile.read(int(self.headers["Content-Length"])), "text/plain")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def web() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    with TemporaryDirectory(prefix="belljar-honest-", dir="/var/tmp") as other:
        yield Path(other) if request.param == "var" else tmp_path


def start(
    argv: list[str], program: Program, root: Path, env: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    with open(program.stdin, "rb") as stdin:
        return subprocess.run(
            argv,
            check=False,
            stdin=stdin,
            capture_output=True,
            text=True,
            cwd=root / "work",
            env={**env, **program.env},
            timeout=60,
        )


def places(path: Path) -> list[str]:
    """Where it runs: beneath /tmp and elsewhere, if it is given a place at all."""
    flags = next(line for line in path.read_text().splitlines() if line.startswith("# flags:"))
    return ["tmp", "var"] if "{data}" in flags or "{out}" in flags else ["var"]


CASES = [
    pytest.param(path, place, id=f"{path.stem}-{place}")
    for path in PROGRAMS
    for place in places(path)
]


@pytest.mark.parametrize(("path", "root"), CASES, indirect=["root"])
def test_an_ordinary_program_works(
    path: Path, root: Path, port: int, web: int, clean_env: dict[str, str]
) -> None:
    places = {name: str(root / name) for name in ("data", "out")}
    program = Program(path, {**places, "port": str(port), "http": str(web)})
    missing = [name for name in program.needs if find_spec(name) is None]
    if missing:
        assert not MUST_WORK, f"not installed: {missing}"
        pytest.skip(f"not installed: {', '.join(missing)}")
    lay_out(root, path)
    env = {**clean_env, "PYTHONDONTWRITEBYTECODE": "1"}
    plain = start([sys.executable, *program.words, *program.args], program, root, env)
    assert plain.returncode == program.status, plain.stderr
    if program.ends_with:
        assert plain.stdout.endswith(program.prints)
    else:
        assert plain.stdout == program.prints
    clear(root)
    ours = ["--ledger", str(root / "ledger"), "--result", str(root / "result.json")]
    inside = start(
        [*COMMAND, "run", *ours, *program.flags, *program.words, *program.args], program, root, env
    )
    status = program.status if program.status >= 0 else 128 - program.status
    assert (inside.returncode, inside.stdout) == (status, plain.stdout), inside.stderr
    result = json.loads((root / "result.json").read_text())
    if program.asks_more:
        return
    assert (result["denials"], result["missed"]) == ([], 0)
    if program.stderr:
        assert neutral(inside.stderr, root) == neutral(plain.stderr, root)
    elif program.status >= 0:
        assert inside.stderr == plain.stderr


def neutral(text: str, root: Path) -> str:
    return text.replace(str(root / "work"), "/box")


def test_there_are_enough_programs() -> None:
    light, heavy = (len(list((HERE / name).glob("*.py"))) for name in ("programs", "heavy"))
    assert light >= 80
    assert heavy >= 8
