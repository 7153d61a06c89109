"""`belljar_recorder_start`: programs that embed CPython, however they came by it."""

from __future__ import annotations

import glob
import os
import shlex
import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import belljar
from belljar import _native

Record = Callable[..., Any]

STARTED, ALREADY, NO_CHANNEL, NO_PYTHON, NOBODY_LISTENS = 0, 1, -1, -2, -3

#: app LIBPYTHON LOCAL|GLOBAL|NEVER ROUNDS CHANNEL|-: prints what the function returned.
PROGRAM = r"""
#define BELLJAR_OPTIONAL
#include <belljar.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    const char *channel = strcmp(argv[4], "-") == 0 ? NULL : argv[4];
    int (*start)(const char *) = belljar_recorder_start;
    if (start == NULL) {
        void *library = dlopen(getenv("RECORDER"), RTLD_NOW);
        start = (int (*)(const char *))dlsym(library, "belljar_recorder_start");
    }
    if (strcmp(argv[2], "NEVER") == 0)
        return printf("%d\n", start(channel)) < 0;
    int scope = strcmp(argv[2], "LOCAL") == 0 ? RTLD_LOCAL : RTLD_GLOBAL;
    void *python = dlopen(argv[1], RTLD_NOW | scope);
    if (python == NULL)
        return 3;
    void (*initialize)(int) = (void (*)(int))dlsym(python, "Py_InitializeEx");
    int (*run)(const char *, void *);
    *(void **)&run = dlsym(python, "PyRun_SimpleStringFlags");
    int (*finalize)(void) = (int (*)(void))dlsym(python, "Py_FinalizeEx");
    for (int i = 0; i < atoi(argv[3]); i++) {
        int first = start(channel);
        printf("%d %d\n", first, start(channel));
        fflush(stdout);
        initialize(0);
        char code[256];
        const char *form = "import sys, os\nfor i in range(50): sys.audit('mark', %d)\n"
                           "os.getcwd = 1";
        snprintf(code, sizeof code, form, i);
        if (run(code, NULL) != 0 || finalize() < 0)
            return 4;
    }
    return 0;
}
"""


def shared_pythons() -> list[str]:
    """Every libpython at hand that is a shared object, of 3.8 and later."""
    places = ["~/.pyenv/versions/*/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib64"]
    places.append(sysconfig.get_config_var("LIBDIR") or "/usr/lib")
    found = {
        os.path.realpath(path)
        for place in places
        for path in glob.glob(os.path.expanduser(place) + "/libpython3.*.so.1.0")
    }
    old = ("libpython3.6", "libpython3.7")
    return sorted(path for path in found if not os.path.basename(path).startswith(old))


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("embed")
    (place / "app.c").write_text(PROGRAM)
    compiler = shlex.split(os.environ.get("CC", "")) or [shutil.which("cc") or "gcc"]
    flags = ["-Wall", "-Wextra", "-Werror", f"-I{belljar.get_include()}"]
    command = [*compiler, *flags, str(place / "app.c"), "-o", str(place / "app"), "-ldl"]
    subprocess.run(command, check=True)
    return str(place / "app")


def home(library: str) -> dict[str, str]:
    """Where this libpython's standard library lies."""
    prefix = os.path.dirname(os.path.dirname(library))
    return {"PYTHONHOME": prefix if prefix.startswith(os.path.expanduser("~")) else "/usr"}


@pytest.mark.parametrize("library", shared_pythons())
@pytest.mark.parametrize("scope", ["LOCAL", "GLOBAL"])
def test_a_python_that_is_loaded_late_is_recorded(
    record: Record, app: str, library: str, scope: str
) -> None:
    done = record([app, library, scope, "1", "-"], env=home(library))
    assert (done.status, done.out) == (0, f"{STARTED} {ALREADY}\n"), done.err
    assert not done.findings
    assert done.marks() == [0] * 50
    before = done.events.index(done.named("mark")[0])
    assert len({event.name for event in done.events[:before]}) > 2  # its initialisation
    assert done.named("cpython._PySys_ClearAuditHooks")  # and its end


@pytest.mark.parametrize("library", shared_pythons())
def test_interpreters_one_after_another_are_recorded(
    record: Record, app: str, library: str
) -> None:
    done = record([app, library, "GLOBAL", "4", "-"], env=home(library))
    assert done.status == 0, done.err
    assert done.out.split() == [str(STARTED), *[str(ALREADY)] * 7]
    assert done.marks() == [i for i in range(4) for _ in range(50)]
    assert not done.findings
    tells = not any(f"libpython3.{minor}." in library for minor in range(12))
    assert len(done.named("belljar.edit")) == (4 if tells else 0)


def plain(app: str, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "RECORDER": _native.RECORDER, **more}
    return subprocess.run(
        [app, *words], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("library", shared_pythons()[:1])
def test_what_it_returns_where_nothing_can_be_recorded(
    app: str, library: str, tmp_path: Path
) -> None:
    assert plain(app, library, "NEVER", "1", "-").stdout == f"{NO_PYTHON}\n"
    run = plain(app, library, "GLOBAL", "1", "-", **home(library))
    assert (run.returncode, run.stdout) == (0, f"{NO_CHANNEL} {NO_CHANNEL}\n")
    fifo = tmp_path / "fifo"
    run = plain(app, library, "GLOBAL", "1", str(fifo), **home(library))
    told = (0, f"{NOBODY_LISTENS} {NOBODY_LISTENS}\n")
    assert (run.returncode, run.stdout) == told, run.stderr
    os.mkfifo(fifo)  # a collector that died: nothing proceeds unrecorded
    run = plain(app, library, "GLOBAL", "1", str(fifo), **home(library))
    assert (run.returncode, run.stdout) == (125, "")
    assert run.stderr == "belljar: the record's channel is gone\n"


@pytest.mark.parametrize("library", shared_pythons()[:1])
def test_strict_means_no_unrecorded_python(app: str, library: str) -> None:
    run = plain(app, library, "GLOBAL", "1", "/nonexistent", BELLJAR_STRICT="1", **home(library))
    assert (run.returncode, run.stdout) == (125, "")
    assert run.stderr == "belljar: the record's channel cannot be opened\n"
