"""What the tests showed, against the catalogue."""

from __future__ import annotations

from typing import Any, NamedTuple

from belljar import catalogue
from belljar.events.kinds import mismatch

#: Names that CPython's tests raise themselves, with `sys.audit`, to test auditing.
OF_THE_TESTS = (
    "test_event", "test.test_func", "_testcapi", "_testinternalcapi", "test.", "nulls",
)  # fmt: skip
#: Arguments that the recorder leaves out on purpose: nil stands for anything.
WITHHELD = {"import": (2, 3, 4), "os.putenv": (1,)}


class Verdict(NamedTuple):
    """`wrong` is what must be mended; the rest is for the page."""

    tests: int
    events: int
    names: int
    uncatalogued: list[str]
    mismatches: list[str]
    early: list[str]
    changed: dict[str, str]
    unknown: list[str]

    @property
    def wrong(self) -> list[str]:
        """One line for each thing that is not as the catalogue or the promise says."""
        found = [f"not catalogued: {name}" for name in self.uncatalogued]
        found += [f"arguments: {text}" for text in self.mismatches]
        found += [f"not in this version: {name}" for name in self.early]
        found += [f"in the machine code, not reviewed: {name}" for name in self.unknown]
        return found + [f"outcome: {test}: {what}" for test, what in self.changed.items()]

    def figures(self, result: dict[str, Any]) -> dict[str, object]:
        """What the page shows of this version."""
        return {
            "modules": len(result["modules"]), "tests": self.tests, "events": self.events,
            "names": self.names, "strings": len(result["strings"]),
            "uncatalogued": len(self.uncatalogued) + len(self.unknown),
            "mismatches": len(self.mismatches) + len(self.early), "changed": len(self.changed),
            "not installed": result["missing"],
        }  # fmt: skip


def judge(result: dict[str, Any]) -> Verdict:
    """Compare one version's results with the catalogue."""
    version = result["version"]
    uncatalogued, mismatches, early = [], [], []
    for name, shapes in sorted(result["shapes"].items()):
        entry = catalogue.lookup(name)
        if entry is None:
            if not name.startswith(OF_THE_TESTS):
                uncatalogued.append(name)
            continue
        if not catalogue.in_version(entry.versions, version):
            early.append(name)
        types = ["|".join(a.types) for a in entry.arguments(version)]
        wrong = {mismatch(types, _shown(name, shape)) for shape in shapes} - {""}
        mismatches += [f"{name}: {text}" for text in sorted(wrong)]
    for name in result["strings"]:
        if not catalogue.in_version(catalogue.lookup(name).versions, version):
            early.append(f"{name} (in the machine code)")
    return Verdict(
        sum(module["tests"] for module in result["modules"].values()),
        sum(result["counts"].values()), len(result["shapes"]),
        uncatalogued, mismatches, early, result["changed"], result["unknown"],
    )  # fmt: skip


def _shown(name: str, shape: list[str]) -> list[str]:
    withheld = WITHHELD.get(name, ())
    return ["?" if i in withheld and kind == "None" else kind for i, kind in enumerate(shape)]


def print_report(result: dict[str, Any], verdict: Verdict) -> None:
    """For a person."""
    modules = len(result["modules"])
    print(f"CPython {result['version']}: {modules} modules, {verdict.tests} tests,", end=" ")
    print(f"{verdict.events} events of {verdict.names} names")
    for text in verdict.wrong or ["nothing wrong"]:
        print(f"  {text}")
    if result["missing"]:
        print(f"  not installed: {', '.join(result['missing'])}")
    if result["findings"]:
        print(f"  findings: {result['findings']}")
