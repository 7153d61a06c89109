"""What the tests that start `belljar` share: the command, private homes, a tree to attack."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

COMMAND = (sys.executable, "-c", "import sys; from belljar.cli import main; sys.exit(main())")
MUST_WORK = os.environ.get("BELLJAR_MUST_WORK") == "1"

# A suite started in the background, or by something that ignores the keyboard, hands that on to
# every program it starts; the tests speak of programs that were started in the ordinary way.
signal.pthread_sigmask(signal.SIG_SETMASK, ())
signal.signal(signal.SIGINT, signal.default_int_handler)
for _number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGALRM, signal.SIGUSR1):
    signal.signal(_number, signal.SIG_DFL)


class Ran:
    """A finished `belljar`: status, output, the typed result where one was asked for."""

    def __init__(self, done: subprocess.CompletedProcess[bytes], result: Path | None) -> None:
        self.status = done.returncode
        self.stdout = done.stdout.decode("utf-8", "backslashreplace")
        self.stderr = done.stderr.decode("utf-8", "backslashreplace")
        self._result = result

    @property
    def result(self) -> dict:
        assert self._result is not None
        return json.loads(self._result.read_text())

    def denied(self) -> list[tuple[str, str]]:
        return [(d["right"], d["target"]) for d in self.result["denials"]]


@pytest.fixture(autouse=True)
def no_clerk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers of this process and its children call no clerk: it would outlive the test that
    removes its ledger. Tests about the clerk delete the variable."""
    monkeypatch.setenv("BELLJAR_CLERK", "none")


@pytest.fixture(autouse=True, scope="module")
def nobody_waits() -> Iterator[None]:
    """Guests that are ready for the next sandbox are not left to the tests of another file."""
    yield
    ready = sys.modules.get("belljar.sandbox.live.ready")
    for pool in ready._pools if ready is not None else ():
        pool.close()


@pytest.fixture(scope="session")
def private_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where ledgers and caches of the session lie; the probe is asked once."""
    home = tmp_path_factory.mktemp("home")
    for name in ("state", "cache"):
        (home / name).mkdir(mode=0o700)
    return home


@pytest.fixture(scope="session")
def images(private_home: Path) -> Path:
    """Runtime images of the session, for homes of their own."""
    path = private_home / "cache/belljar/images"
    path.mkdir(parents=True, mode=0o700, exist_ok=True)
    path.parent.chmod(0o700)
    return path


@pytest.fixture(scope="session")
def clean_env(private_home: Path) -> dict[str, str]:
    """An environment that shows nothing of the machine but how to import Belljar."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(private_home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "XDG_STATE_HOME": str(private_home / "state"),
        "XDG_CACHE_HOME": str(private_home / "cache"),
        # A clerk outlives the command, and writes where a test may be deleting.
        "BELLJAR_CLERK": "none",
    }


@pytest.fixture
def belljar(clean_env: dict[str, str], tmp_path: Path) -> Callable[..., Ran]:
    """Runs `belljar` with the words given, in an empty directory unless `cwd` says another.

    For `run`, `result=True` adds --result and `ledger=PATH` keeps the record there.
    """

    def run(
        *words: object,
        result: bool = False,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 300,  # the first run makes a runtime image
        **more: object,
    ) -> Ran:
        argv = [str(w) for w in words]
        kept = tmp_path / "result.json" if result else None
        if kept is not None:
            argv[1:1] = ["--result", str(kept)]
        folder = cwd or tmp_path / "cwd"
        folder.mkdir(exist_ok=True)
        more.setdefault("stdin", subprocess.DEVNULL)
        if "stdout" not in more:
            more["stdout"] = subprocess.PIPE
        if "stderr" not in more:
            more["stderr"] = subprocess.PIPE
        done = subprocess.run(
            [*COMMAND, *argv],
            check=False,
            cwd=folder,
            env={**clean_env, **(env or {})},
            timeout=timeout,
            **more,
        )
        done.stdout, done.stderr = done.stdout or b"", done.stderr or b""
        return Ran(done, kept)

    return run


@pytest.fixture
def outside_tmp() -> Iterator[Path]:
    """A throwaway directory that does not lie beneath /tmp."""
    with TemporaryDirectory(prefix="belljar-test-", dir="/var/tmp") as path:
        os.chmod(path, 0o755)
        yield Path(path)


def interpreters() -> list[str]:
    """Every CPython of 3.11 or newer that is found: ours, the system's, those of pyenv."""
    found = {os.path.realpath(sys.executable): sys.executable}
    roots = [Path("/usr/bin"), Path("/usr/local/bin")]
    roots += sorted(Path(os.path.expanduser("~/.pyenv/versions")).glob("3.*/bin"))
    for root in roots:
        for minor in range(11, 16):
            path = root / f"python3.{minor}"
            if path.exists():
                found.setdefault(os.path.realpath(path), str(path))
    return sorted(found.values())


def cannot(reason: str) -> None:
    """Skip for what this machine lacks, unless skips are forbidden."""
    if MUST_WORK:
        pytest.fail(f"BELLJAR_MUST_WORK=1 and {reason}")
    pytest.skip(reason)
