"""The examples of a page: read them, run them in a house of their own, compare what they print.

A `console` block is a shell session: `$ ` begins a command, `> ` continues it, the rest is what it
prints. `<!-- file: NAME -->` before a block makes the block the text of a file. All blocks of a
page share one working directory. What differs from machine to machine is made neutral on both
sides: record numbers, times, counts of events, where Python's library lies. The order of lines is
not compared, since the guest's output and Belljar's own words come by different pipes; `...` alone
on a line stands for any lines, and within one for any text.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"(?:<!-- file: (\S+) -->\n)?^```(\w+)\n(.*?)^```$", re.M | re.S)
_NEUTRAL = (
    (re.compile(r"#\d+"), "#N"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "TIME"),
    (re.compile(r"\S*/lib(?:64)?/python3(?:\.\d+)?/(\S+?):\d+"), r"LIB/\1:N"),
    (re.compile(r"\b\d+ (events|records|entries|runs|process(?:es)?|of the|by the|ms)\b"), r"N \1"),
    (re.compile(r"\b\d+ (module|look|import|text)s?\b"), r"N \1s"),
    (re.compile(r"\bin \d+\.\d s\b"), "in N s"),
    (re.compile(r"^ *\d+ python\S* "), "PID python "),  # a process in a tree
    (re.compile(r"\bprocess \d+"), "process PID"),
    (re.compile(r"  3\.\d+\.\d+, "), "  VERSION, "),
    (re.compile(r"\brun(:?) [0-9a-f]{8,32}\b"), r"run\1 ID"),
    (re.compile(r"digest [0-9a-f]{64}"), "digest ID"),  # of absolute paths
    (re.compile(r"events=\d+"), "events=N"),
    (re.compile(r"TIME [0-9a-f]{8} "), "TIME ID "),
    (re.compile(r"Landlock ABI \d+"), "Landlock ABI N"),
    (re.compile(r"(tier:?) .*"), r"\1 TIER"),
    (re.compile(r"\s+"), " "),
)


@dataclass
class Command:
    text: str
    expected: list[str] = field(default_factory=list)


@dataclass
class Block:
    page: str
    line: int
    language: str
    text: str
    file: str | None


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [
        Block(page.name, text.count("\n", 0, m.start(2)) + 1, m[2], m[3], m[1])
        for m in _BLOCK.finditer(text)
    ]


def commands(block: Block) -> list[Command]:
    found: list[Command] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:]))
        elif line.startswith("> ") and found and not found[-1].expected:
            found[-1].text += "\n" + line[2:]
        elif found:
            found[-1].expected.append(line)
        else:
            raise AssertionError(f"{block.page}:{block.line}: output before any command")
    return found


class House:
    """A home with a project in it, and `belljar` and `python` on the path."""

    def __init__(self, place: Path, images: Path) -> None:
        """`images` are those of all houses: making one for each would take most of the time."""
        self.home = place / "home"
        self.project = self.home / "project"
        self.project.mkdir(parents=True)
        (self.home / ".ssh").mkdir(mode=0o700)
        (self.home / ".ssh" / "id_ed25519").write_text("not a key\n", "utf-8")
        cache = self.home / ".cache" / "belljar"
        cache.mkdir(parents=True, mode=0o700)
        (cache / "images").symlink_to(images)
        programs = place / "bin"
        programs.mkdir()
        for name in ("python", "python3"):
            self._script(programs / name, [sys.executable])
        self._script(programs / "belljar", [sys.executable, str(ROOT / "tools" / "belljar")])
        self.environment = {
            "HOME": str(self.home),
            "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
        }
        if "PYTHONPATH" in os.environ:  # run from the source, not installed
            self.environment["PYTHONPATH"] = os.path.abspath(os.environ["PYTHONPATH"])

    @staticmethod
    def _script(path: Path, words: list[str]) -> None:
        path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', "utf-8")
        path.chmod(0o755)

    def write(self, block: Block) -> None:
        assert block.file is not None
        path = self.project / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, "utf-8")

    def run(self, text: str) -> list[str]:
        run = subprocess.run(
            ["/bin/sh", "-c", text], cwd=self.project, env=self.environment, timeout=300,
            check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, encoding="utf-8",
        )  # fmt: skip
        return run.stdout.replace(str(self.home), "/home/me").splitlines()

    def clear(self) -> None:
        for again in range(5):  # a ledger's clerk may just be at work there; then it ends
            shutil.rmtree(self.home.parent, ignore_errors=again < 4)
            if not self.home.parent.exists():
                return


def neutral(line: str) -> str:
    for pattern, instead in _NEUTRAL:
        line = pattern.sub(instead, line)
    return line.strip()


def missing(expected: list[str], printed: list[str]) -> list[str]:
    """Expected lines that were not printed (`- `), and printed ones not expected (`+ `)."""
    left = [neutral(line) for line in printed if line.strip()]
    gaps = []
    for line in expected:
        wanted = neutral(line)
        if not wanted or wanted == "...":
            continue
        pattern = re.sub(r"([\[\]*?])", r"[\1]", wanted).replace("...", "*")
        match = next((have for have in left if fnmatchcase(have, pattern)), None)
        if match is None:
            gaps.append(f"- {wanted}")
        else:
            left.remove(match)
    if not any(line.strip() == "..." for line in expected):
        gaps += [f"+ {line}" for line in left]
    return gaps
