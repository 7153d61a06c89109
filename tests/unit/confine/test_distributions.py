"""Which files hold the native code of what is imported by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from belljar.confine.distributions import native_parts
from belljar.confine.runtime import Runtime
from belljar.errors import PolicyError
from belljar.model import Grant


@pytest.fixture
def site(tmp_path: Path) -> Path:
    def install(name: str, files: list[str], requires: tuple[str, ...] = ()) -> None:
        info = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0"]
        lines += [f"Requires-Dist: {line}" for line in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        for file in files:
            (tmp_path / file).parent.mkdir(exist_ok=True)
            (tmp_path / file).touch()
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))

    install(
        "Big.Array",
        ["big/core.abi3.so", "big/pure.py", "big.libs/libx.so.3"],
        ("tiny-lib>=1; python_version > '3'", "extra-lib; extra == 'all'", "absent"),
    )
    install("tiny_lib", ["tiny.so"], ("Big_Array",))
    install("extra-lib", ["extra.so"])
    install("pure", ["pure/__init__.py"])
    return tmp_path


def parts(site: Path, *names: str) -> list[str]:
    runtime = Runtime("/python", "3.11", "/lib", "", (str(site),), (), ())
    grants = [Grant("import", name, "policy.toml:6") for name in names]
    return sorted(path.removeprefix(f"{site}/") for path in native_parts(grants, runtime))


@pytest.mark.parametrize("name", ["Big.Array", "big-array", "BIG__array"])
def test_native_parts_are_those_of_what_is_required_too(site: Path, name: str) -> None:
    assert parts(site, name) == ["big", "big.libs", "tiny.so"]


def test_a_pure_distribution_brings_no_native_code(site: Path) -> None:
    assert parts(site, "pure") == []


def test_the_standard_library_is_none_of_the_environments_business(site: Path) -> None:
    assert parts(site, "ctypes", "xml.sax") == []


def test_what_is_not_installed_is_refused_at_its_place(site: Path) -> None:
    with pytest.raises(PolicyError, match=r"^policy\.toml:6: import = nmpy: not installed for /"):
        parts(site, "nmpy")


def test_the_environment_is_named_that_lacks_a_distribution(site: Path) -> None:
    with pytest.raises(PolicyError, match=f"not installed for {site}, and not in the standard"):
        parts(site, "nmpy")


def test_files_that_are_gone_are_left_out(site: Path) -> None:
    (site / "tiny.so").unlink()
    assert parts(site, "tiny-lib") == ["big", "big.libs"]


def test_what_was_found_is_looked_for_again_when_the_environment_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from belljar.confine import modules
    from belljar.model import Policy

    asked: list[object] = []
    monkeypatch.setattr(
        "belljar.confine.distributions.native_parts", lambda *_: asked.append(1) or []
    )
    monkeypatch.setattr("belljar.confine.distributions.parts", lambda *_: [])
    folder = tmp_path / "one-1.dist-info"
    folder.mkdir()
    (folder / "RECORD").write_text("one.py,,\n")
    runtime = Runtime("/python", "3.11", "/lib", "", (str(tmp_path),), (), ())
    policy = Policy(grants=(Grant("import", "one", "x"),))
    for _ in range(2):
        modules.named_by(policy, runtime)
    assert len(asked) == 1
    (folder / "RECORD").write_text("one.py,,\none.so,,\n")
    modules.named_by(policy, runtime)
    assert len(asked) == 2
    (tmp_path / "two-1.dist-info").mkdir()
    modules.named_by(policy, runtime)
    assert len(asked) == 3
