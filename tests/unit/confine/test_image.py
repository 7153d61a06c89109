"""An image is made once, is made anew when what it is made from changes, and is ours."""

from __future__ import annotations

import importlib.util
import marshal
import os
import py_compile
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from belljar.confine import image
from belljar.confine.image import make as image_make
from belljar.confine.runtime import Runtime
from belljar.errors import Unenforceable
from belljar.model import Grant, Policy

SHORT = "python{}.{}".format(*sys.version_info[:2])
VERSION = "{}.{}.{}".format(*sys.version_info[:3])


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    base = tmp_path / "own-base"
    site = tmp_path / "own-env/lib" / SHORT / "site-packages"
    library = base / "lib" / SHORT
    for folder in (base / "bin", library / "json", library / "lib-dynload", site / "pkg/sub"):
        folder.mkdir(parents=True)
    (site.parents[2] / "pyvenv.cfg").write_text(f"home = {base}/bin\n")
    program = base / "bin" / SHORT
    program.write_bytes(b"\x7fELF\0" + f"{base}/lib".encode() + b"\0")
    program.chmod(0o755)
    (library / "os.py").write_text("import sys\n")
    (library / "libx.a").write_text("static")
    (library / "json/__init__.py").write_text("def f():\n    return 1\n")
    py_compile.compile(str(library / "json/__init__.py"))
    prefix = f"build_time_vars = {{'A': 1,\n 'prefix': '{base}',\n 'B': '{base}/bin'}}\n"
    (library / "_sysconfigdata_x.py").write_text(prefix)
    py_compile.compile(str(library / "_sysconfigdata_x.py"))
    (site / "pkg/__init__.py").write_text("x = 1\n")
    (site / "pkg/sub/m.py").write_text("y = 2\n")
    (site / "pkg/where.py").write_text(f"PLACE = {str(site)!r}\n")
    for name in ("__init__", "where"):
        py_compile.compile(str(site / f"pkg/{name}.py"))
    (site / "pkg.pth").write_text("/home/somebody/src\n")
    info = site / "pkg-1.dist-info"
    info.mkdir()
    (info / "direct_url.json").write_text('{"url": "file:///home/somebody/src"}')
    (info / "RECORD").write_text(f"pkg/__init__.py,,\n{site}/x,,\n")
    (site / "absolute").symlink_to(site / "pkg")
    (site / "away").symlink_to("/etc")
    (site / "up").symlink_to("../../../..")
    os.mkfifo(site / "fifo")
    return Runtime(
        str(program), VERSION, str(library), str(library / "lib-dynload"), (str(site),), (), ()
    )


@pytest.fixture
def cache(tmp_path: Path) -> str:
    (tmp_path / "cache").mkdir(mode=0o700)
    return str(tmp_path / "cache")


def trees(runtime: Runtime, cache: str) -> dict[str, Path]:
    with image.show(Policy(), runtime, "user", cache) as made:
        return {guest: Path(host) for guest, host in made.shown.trees}


def site_of(runtime: Runtime, cache: str) -> Path:
    return trees(runtime, cache)[f"/python/lib/{SHORT}/site-packages"]


def test_no_byte_of_an_image_tells_where_it_came_from(
    runtime: Runtime, cache: str, tmp_path: Path
) -> None:
    seen = 0
    for top in trees(runtime, cache).values():
        for folder, folders, names in os.walk(top):
            for name in folders + names:
                path = Path(folder, name)
                told = os.readlink(path).encode() if path.is_symlink() else b""
                data = path.read_bytes() if path.is_file() else b""
                for needle in (str(tmp_path), "own-base", "own-env", "somebody"):
                    assert needle.encode() not in data + told, path
                seen += 1
    assert seen > 15


def test_what_tells_nothing_is_linked_and_what_leads_away_is_left_out(
    runtime: Runtime, cache: str
) -> None:
    site = site_of(runtime, cache)
    host = Path(runtime.site[0])
    assert (site / "pkg/sub/m.py").stat().st_ino == (host / "pkg/sub/m.py").stat().st_ino
    assert os.readlink(site / "absolute") == "pkg"
    names = set(os.listdir(site))
    assert not {"away", "up", "fifo", "pkg.pth"} & names
    assert os.listdir(site / "pkg-1.dist-info") == ["RECORD"]
    assert not list(trees(runtime, cache)["/python"].rglob("*.a"))


def test_compiled_files_are_found_valid_and_carry_the_guest_s_name(
    runtime: Runtime, cache: str
) -> None:
    base = trees(runtime, cache)["/python"] / "lib" / SHORT
    for name in ("json/__init__.py", "_sysconfigdata_x.py"):
        compiled = Path(importlib.util.cache_from_source(str(base / name))).read_bytes()
        stat = (base / name).stat()
        assert compiled[8:12] == int(stat.st_mtime).to_bytes(4, "little")
        assert compiled[12:16] == stat.st_size.to_bytes(4, "little")
        assert marshal.loads(compiled[16:]).co_filename == f"/python/lib/{SHORT}/{name}"
    site = site_of(runtime, cache)
    assert (site / "pkg/where.py").read_text() == f"PLACE = '/python/lib/{SHORT}/site-packages'\n"
    assert len(os.listdir(site / "pkg/__pycache__")) == 1  # that of the changed one is not valid


def test_versions_that_differ_keep_their_own_in_one_cache(
    runtime: Runtime, cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = trees(runtime, cache)
    monkeypatch.setattr(image, "_FORM", "another")
    others = trees(runtime, cache)
    assert not set(mine.values()) & set(others.values())
    monkeypatch.undo()
    assert trees(runtime, cache) == mine
    monkeypatch.setattr(image, "_FORM", "another")
    assert trees(runtime, cache) == others


def test_an_image_is_made_once(runtime: Runtime, cache: str) -> None:
    assert trees(runtime, cache) == trees(runtime, cache)


@pytest.mark.parametrize("change", ["file", "folder", "copied", "program"])
def test_a_changed_environment_is_seen(runtime: Runtime, cache: str, change: str) -> None:
    before = trees(runtime, cache)
    site = Path(runtime.site[0])
    if change == "file":
        (site / "pkg/sub/new.py").write_text("z = 3\n")
    elif change == "folder":
        (site / "other").mkdir()
    elif change == "copied":
        os.utime(site / "pkg/where.py", ns=(1, 1))
    else:
        os.utime(runtime.program, ns=(1, 1))
    after = trees(runtime, cache)
    assert len(set(before.items()) & set(after.items())) == 1  # the other tree stays
    assert (after[f"/python/lib/{SHORT}/site-packages"] / "pkg/sub/new.py").exists() == (
        change == "file"
    )


def test_a_tree_that_others_can_write_is_not_used(runtime: Runtime, cache: str) -> None:
    before = trees(runtime, cache)
    (before["/python"].parent).chmod(0o777)
    assert trees(runtime, cache)["/python"] != before["/python"]


def test_builders_at_the_same_time_make_one_image(runtime: Runtime, cache: str) -> None:
    found: list[dict[str, Path]] = []
    barrier = threading.Barrier(4)

    def build() -> None:
        barrier.wait()
        found.append(trees(runtime, cache))

    threads = [threading.Thread(target=build) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len({tuple(one.items()) for one in found}) == 1
    assert sum(name.startswith("tree-") for name in os.listdir(f"{cache}/images")) == 2


def test_a_builder_that_fails_leaves_nothing(
    runtime: Runtime, cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "/x")

    monkeypatch.setattr("belljar.confine.image.build.write", full)
    with image.show(Policy(), runtime, "user", cache) as made:
        assert made.shown.inner == runtime
        assert made.shown.why.endswith("No space left on device (/x)")
    with pytest.raises(Unenforceable, match="No space left"):
        image.show(Policy(names="hidden"), runtime, "user", cache)
    assert not [name for name in os.listdir(f"{cache}/images") if name.startswith("tree-")]
    monkeypatch.undo()
    with image.show(Policy(), runtime, "user", cache) as made:  # not tried again at once
        assert made.shown.why.endswith("No space left on device (/x)")
    with image.show(Policy(names="hidden"), runtime, "user", cache) as made:
        assert made.shown.why == ""
    note = Path(cache, "images/failed")
    os.utime(note, (1, 1))
    image_make.prune(f"{cache}/images")
    with image.show(Policy(), runtime, "user", cache) as made:
        assert made.shown.trees


def test_large_files_are_searched_in_parts(
    runtime: Runtime, cache: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("belljar.confine.image.build", "belljar.confine.image.files"):
        monkeypatch.setattr(f"{name}.CHUNK", 4096)
    host = Path(runtime.site[0])
    for place in range(4000, 4100, 7):  # about where two parts meet
        (host / f"d{place}.bin").write_bytes(bytes(place) + runtime.site[0].encode() + bytes(9000))
    (host / "plain.bin").write_bytes(bytes(20000))
    site = site_of(runtime, cache)
    for path in site.glob("d*.bin"):
        data = path.read_bytes()
        assert str(tmp_path).encode() not in data
        assert len(data) == (host / path.name).stat().st_size
    assert (site / "plain.bin").stat().st_ino == (host / "plain.bin").stat().st_ino


def test_what_cannot_be_linked_is_copied_and_watched(
    runtime: Runtime, cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refused)
    before = site_of(runtime, cache)
    host = Path(runtime.site[0])
    assert (before / "pkg/sub/m.py").read_text() == "y = 2\n"
    assert (before / "pkg/sub/m.py").stat().st_mtime_ns == (
        host / "pkg/sub/m.py"
    ).stat().st_mtime_ns
    (host / "pkg/sub/m.py").write_text("y = 3\n")
    assert (site_of(runtime, cache) / "pkg/sub/m.py").read_text() == "y = 3\n"


def test_the_guest_may_read_it_whatever_our_umask(runtime: Runtime, cache: str) -> None:
    old = os.umask(0o077)
    try:
        found = trees(runtime, cache)
    finally:
        os.umask(old)
    for top in found.values():
        for path in (top, *top.rglob("*")):
            assert path.is_symlink() or path.stat().st_mode & 0o004, path


def test_environments_share_the_interpreter_s_tree(
    runtime: Runtime, cache: str, tmp_path: Path
) -> None:
    other = tmp_path / "two/lib" / SHORT / "site-packages"
    more = tmp_path / "three/lib/python3/dist-packages"
    for path in (other, more):
        path.mkdir(parents=True)
    one = trees(runtime, cache)
    two = trees(runtime.replace(site=(str(other), str(more))), cache)
    assert one["/python"] == two["/python"]
    assert (one["/python"] / "1/dist-packages").is_dir()
    assert set(two) == {"/python", f"/python/lib/{SHORT}/site-packages", "/python/1/dist-packages"}
    assert trees(runtime, cache) == one


def test_an_environment_too_deep_is_no_image(runtime: Runtime, cache: str) -> None:
    Path(runtime.site[0], *["d"] * 70).mkdir(parents=True)
    with image.show(Policy(), runtime, "user", cache) as made:
        assert "too many files, or too deep" in made.shown.why


def test_old_trees_are_removed_but_not_those_in_use(runtime: Runtime, cache: str) -> None:
    folder = f"{cache}/images"
    with image.show(Policy(), runtime, "user", cache) as made:
        used = [Path(host).parent for _, host in made.shown.trees]
        for text in Path(folder).iterdir():
            if text.is_file() and text.suffix != ".lock":
                text.unlink()
        for path in used:
            os.utime(path, (1, 1))
        code = "import sys; from belljar.confine.image.make import prune; prune(sys.argv[1])"
        subprocess.run([sys.executable, "-c", code, folder], check=True)
        assert all(path.exists() for path in used)
    image_make.prune(folder)
    assert not any(path.exists() for path in used)


def test_where_no_image_can_be_the_reason_is_told(runtime: Runtime, cache: str) -> None:
    def why(policy: Policy, *, tier: str = "user", place: str | None = cache) -> str:
        with image.show(policy, runtime, tier, place) as made:
            assert made.shown.inner == runtime
            return made.shown.why

    assert why(Policy(names="visible")) == ""
    assert why(Policy(), tier="landlock") == ""
    assert "no cache directory" in why(Policy(), place=None)
    assert "/python is granted" in why(Policy(grants=(Grant("read", "/python/x", ""),)))
    with pytest.raises(Unenforceable, match=r"^cannot protect names: there is no cache"):
        image.show(Policy(require=("names",)), runtime, "user", None)


def test_what_every_start_needs_imports_nothing_slow() -> None:
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from belljar.confine import image, runtime_view\n"
        "print({'contextlib', 'functools', 're', 'zlib', 'shutil'} & set(sys.modules))\n"
    )
    argv = [sys.executable, "-I", "-S", "-c", code, *(p for p in sys.path if p)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"


def test_the_interpreters_tests_of_itself_are_left_out_and_nobody_elses(
    runtime: Runtime, cache: str
) -> None:
    names = ("_testcapi.so", "_ctypes_test.so", "_xxtestfuzz.so", "_ctypes.so")
    for folder in (Path(runtime.dynload), Path(runtime.site[0]) / "pkg"):
        for name in names:
            (folder / name).write_bytes(b"\x7fELF")
    library = trees(runtime, cache)["/python"] / "lib" / SHORT
    assert os.listdir(library / "lib-dynload") == ["_ctypes.so"]
    assert set(names) <= set(os.listdir(site_of(runtime, cache) / "pkg"))
