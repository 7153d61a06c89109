"""What the documents say of the code is checked against the code."""

from __future__ import annotations

import builtins
import re
import subprocess
import sys
from pathlib import Path

import belljar
from belljar import errors
from belljar.confine.status import NAMES
from belljar.policy.keys import KEYS

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = (
    "README.md", "ARCHITECTURE.md", "THREAT-MODEL.md", "SECURITY.md", "CONTRIBUTING.md",
    "CHANGELOG.md", "LICENSE",
)  # fmt: skip


def text(name: str) -> str:
    return (REPOSITORY / name).read_text("utf-8")


def test_the_house_has_its_documents() -> None:
    for name in DOCUMENTS:
        assert len(text(name)) > 200, name


def test_links_between_documents_lead_somewhere() -> None:
    pages = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text("utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_key_of_the_policy_is_documented() -> None:
    page = text("docs/policy.md")
    for key in KEYS:
        assert f"`{key.name}`" in page or f"`{key.dotted}`" in page, key.dotted


def test_every_protection_is_documented() -> None:
    page = text("docs/protections.md")
    for name in NAMES:
        assert f"| `{name}` |" in page, name


def test_every_exit_code_of_the_exceptions_is_in_the_table() -> None:
    page = text("docs/exit-codes.md")
    kinds = [e for e in vars(errors).values() if isinstance(e, type)]
    for kind in kinds:
        code = getattr(kind, "exit_code", None)
        if code is not None:
            assert f"| {code} |" in page, kind


#: Raised within Belljar alone: whoever asks a guest gets `SandboxEnded` of it.
INTERNAL = {"GuestEnded"}


def test_every_exception_can_be_had_from_the_package() -> None:
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type)} - INTERNAL
    for name in sorted(kinds):
        assert getattr(belljar, name) is getattr(errors, name), name
        assert name in belljar.__all__, name


def test_every_exception_that_the_documents_name_can_be_had_from_the_package() -> None:
    pages = [*(REPOSITORY / "docs").glob("*.md"), REPOSITORY / "README.md"]
    inside = {"HostError"}  # of `belljar.guest`
    missing = set()
    for page in pages:
        for name in re.findall(r"(?:belljar\.|`)([A-Z]\w+)\b", page.read_text("utf-8")):
            error = re.fullmatch(r"\w+(?:Error|Ended|Corrupt|Found|able|Travel)", name)
            if error and not hasattr(builtins, name) and name not in (*belljar.__all__, *inside):
                missing.add((page.name, name))
    assert not missing


def test_the_table_of_exceptions_names_them_all() -> None:
    page = text("docs/exit-codes.md")
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and name not in INTERNAL:
            row = next(line for line in page.splitlines() if f"`{name}`" in line and line[0] == "|")
            assert f"| {kind.exit_code} |" in row, name


def test_the_help_of_run_names_every_key() -> None:
    command = "import sys; from belljar.cli import main; sys.exit(main(['run', '--help']))"
    run = subprocess.run([sys.executable, "-c", command], capture_output=True, check=True)
    for key in KEYS:
        assert f"--{key.name}" in run.stdout.decode()
