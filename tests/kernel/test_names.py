"""With names hidden, nothing that a guest can reach tells where its runtime lies on the host."""

from __future__ import annotations

import json
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiers import Tier, reachable

SEEN = Path(__file__).with_name("names_seen.py")
SHORT = "python{}.{}".format(*sys.version_info[:2])
SECRET = "alice-payroll"


class Environment:
    """A virtual environment whose path nobody is to learn, on an interpreter like it."""

    def __init__(self, tier: Tier, base: Path) -> None:
        self.tier = tier
        self.python = Path(reachable(base)[0])
        self.path = tier.home / SECRET / "env"
        self.site = self.path / "lib" / SHORT / "site-packages"
        if not self.path.exists():
            self._make()
        work = tier.home / "work"
        work.mkdir(exist_ok=True)
        self.script = work / "names_seen.py"
        shutil.copy(SEEN, self.script)
        self.script.chmod(0o644)

    def _make(self) -> None:
        package = self.site / "pkg"
        info = self.site / "pkg-1.0.dist-info"
        for folder in (package, info, self.path / "bin"):
            folder.mkdir(parents=True)
        (self.path / "bin/python").symlink_to(self.python)
        (self.path / "pyvenv.cfg").write_text(f"home = {self.python.parent}\n")
        (package / "__init__.py").write_text("def fail():\n    raise ValueError('pkg')\n")
        (package / "config.py").write_text(f"PLACE = {str(self.site)!r}\n")
        (package / "uses.py").write_text("import ctypes\n")
        for name in ("__init__", "config", "uses"):
            py_compile.compile(str(package / f"{name}.py"))
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pkg\nVersion: 1.0\n")
        (info / "RECORD").write_text(f"pkg/__init__.py,,\n{self.path}/bin/tool,,\n")
        (info / "direct_url.json").write_text(json.dumps({"url": f"file://{self.path}"}))
        (self.site / "own.pth").write_text(f"{self.path}/src\n")
        (self.site / "link").symlink_to(package)
        if self.tier.demoted:
            subprocess.run(["/bin/chown", "-R", "65534:65534", str(self.path.parent)], check=True)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        process = self.tier.start("run", "--no-policy", "--python", str(self.path), *words)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(words, process.returncode, out.decode(), err.decode())

    def why(self, number: str) -> str:
        process = self.tier.start("why", f"#{number}")
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        return out.decode()


@pytest.fixture
def environment(tier: Tier, kernel_base: Path) -> Environment:
    return Environment(tier, kernel_base)


def seen(environment: Environment, kernel_base: Path, names: str) -> set[str]:
    words = ",".join(word[::-1] for word in (str(kernel_base), SECRET))
    flags = ("--quiet", "--import", "ctypes", "--names", names, "--wall", "100s", "--cpu", "100s")
    done = environment.run(*flags, str(environment.script), words)
    assert done.returncode == 0, done.stderr
    return {place.split(" ")[0] for place in json.loads(done.stdout)}


def isolated(tier: Tier) -> bool:
    return tier.name in ("root", "user")


def test_no_word_of_the_host_can_be_found(
    tier: Tier, environment: Environment, kernel_base: Path
) -> None:
    if isolated(tier):
        assert seen(environment, kernel_base, "hidden") == set()
        return
    done = environment.run("--names", "hidden", "-c", "print(1)")
    assert (done.returncode, done.stdout) == (125, "")
    assert "cannot protect names: to be hidden, and only none here" in done.stderr


def test_where_names_are_visible_they_are_found_everywhere(
    tier: Tier, environment: Environment, kernel_base: Path
) -> None:
    """The search works."""
    found = seen(environment, kernel_base, "visible")
    assert found >= {
        "AT_EXECFN", "RECORD", "co_filename", "direct_url.json", "file", "library",
        "module", "object", "site", "sys.path", "sys.prefix", "traceback",
    }  # fmt: skip


def test_the_guest_s_own_interpreter_is_granted_by_its_host_s_name(
    tier: Tier, environment: Environment
) -> None:
    if not isolated(tier):
        return
    code = (
        "import subprocess, sys\n"
        "for program in (sys.executable, sys.argv[1]):\n"
        "    print(subprocess.run([program, '-I', '-c', 'import json, sys; print(sys.prefix)'],"
        " capture_output=True, text=True, check=True).stdout, end='')\n"
    )
    flags = ("--names", "hidden", "--run", str(environment.python), "--processes", "4")
    done = environment.run(*flags, "-c", code, str(environment.python))
    assert (done.returncode, done.stdout) == (0, "/python\n/python\n"), done.stderr


def test_an_interpreter_may_look_for_its_library_where_there_is_nothing(
    tier: Tier, environment: Environment
) -> None:
    """It expects no exception of a hook there: that would be a fatal error of its own."""
    if not isolated(tier):
        return
    code = (
        "import subprocess, sys\n"
        "print(subprocess.run(['/no/such/python', '-I', '-c', 'print(1)'],"
        " executable=sys.argv[1],"
        " capture_output=True, text=True).stderr)"
    )
    flags = ("--names", "hidden", "--run", str(environment.python), "--processes", "4")
    done = environment.run(*flags, "-c", code, str(environment.python))
    assert done.returncode == 0, done.stderr
    assert "SystemError" not in done.stdout, done.stdout


def test_processes_start_and_find_the_library(tier: Tier, environment: Environment) -> None:
    if not isolated(tier):
        return
    code = (
        "import multiprocessing as m\n"
        "for how in ('fork', 'spawn', 'forkserver'):\n"
        "    with m.get_context(how).Pool(2) as pool:\n"
        "        print(pool.map(abs, [-1, -2]))\n"
    )
    done = environment.run("--names", "hidden", "--processes", "8", "-c", code)
    assert (done.returncode, done.stdout) == (0, "[1, 2]\n" * 3), done.stderr


def test_a_person_is_told_the_host_s_names(tier: Tier, environment: Environment) -> None:
    if not isolated(tier):
        return
    code = "import pkg\ntry:\n    open(pkg.__file__, 'w')\nexcept OSError as error: print(error)"
    result = environment.tier.home / "result.json"
    done = environment.run("--names", "hidden", "--result", str(result), "-c", code)
    inner = f"/python/lib/{SHORT}/site-packages/pkg/__init__.py"
    assert inner in done.stdout
    assert f"{environment.site}/pkg/__init__.py" in done.stderr
    assert "because the runtime is read-only in the guest" in done.stderr
    assert "/python/" not in done.stderr
    explained = environment.why(done.stderr.partition("record #")[2].split()[0])
    assert f"{environment.site}/pkg/__init__.py" in explained


@pytest.mark.parametrize("names", ["hidden", "visible"])
def test_what_is_named_lies_beneath_the_library_and_is_not_taken_for_it(
    tier: Tier, environment: Environment, names: str
) -> None:
    """The image has the distributions beneath `lib/python3.X`; who imports decides."""
    if not isolated(tier):
        return
    code = "import pkg.uses; print('imported')"
    allowed = environment.run("--names", names, "--import", "pkg", "-c", code)
    assert allowed.stdout == "imported\n", allowed.stderr
    refused = environment.run("--names", names, "-c", code)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "ImportError: ctypes is outside the safe set" in refused.stderr
    if names == "hidden":
        assert f'File "/python/lib/{SHORT}/site-packages/pkg/uses.py"' in refused.stderr
