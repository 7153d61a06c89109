"""Ordinary programs do the same inside as outside.

Each file of `programs/` says in its first comments: `flags` of `belljar run`, `args`, `stdin`,
`env`, `status`, `form` (module or code instead of a script), what it `prints`, and `stderr: same`
where standard error is compared, too. `{data}`, `{out}` and `{port}` are the test's own.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

HERE = Path(__file__).parent
PROGRAMS = sorted((HERE / "programs").glob("*.py"))
COMMAND = [sys.executable, "-c", "import sys; from belljar.cli import main; sys.exit(main())"]
HEADER = re.compile(r"# (flags|args|stdin|env|status|form|prints|stderr|compare):(?: (.*))?")


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


@pytest.mark.parametrize("root", ["tmp", "var"], indirect=True)
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_an_ordinary_program_works(
    path: Path, root: Path, port: int, clean_env: dict[str, str]
) -> None:
    program = Program(
        path, {"data": str(root / "data"), "out": str(root / "out"), "port": str(port)}
    )
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
    assert (result["denials"], result["missed"]) == ([], 0)
    if program.stderr:
        assert neutral(inside.stderr, root) == neutral(plain.stderr, root)
    elif program.status >= 0:
        assert inside.stderr == plain.stderr


def neutral(text: str, root: Path) -> str:
    return text.replace(str(root / "work"), "/box")


def test_there_are_enough_programs() -> None:
    assert len(PROGRAMS) >= 25
