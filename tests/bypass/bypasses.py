"""Every published bypass of audit hooks, what the record must show of it, and the page about it.

Run as a program it prints the table and the score of docs/bypasses.md.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bypass:
    """`number` is that of the published class of bypasses, one attack or several for each.

    `attempt` and `deed` are events that must be in the record: (name, text in its arguments), with
    PROOF for the file that shows the effect. `unheard` is one that must not be: the attack works.
    `deceives`: a hook in Python does not hear of PROOF, or of the text given here.
    """

    number: int
    id: str
    attempt: tuple[str, str]
    deed: tuple[str, str] | None
    findings: tuple[str, ...] = ()
    unheard: tuple[str, str] | None = None
    deceives: str = ""
    also: str = ""
    since: tuple[int, int] = (3, 11)
    before: tuple[int, int] = (4, 0)


_OPEN = ("open", "PROOF")
_TOLD = ("belljar.open", "PROOF")
_SILENCED = ("silenced",)
_TAMPERING = ("alert hook-tampering",)
_WALLS = "run: no native code, no wall depends on the hook"
_NO_NATIVE = "run: `ctypes` needs a grant; cross-check: open"

BYPASSES = (
    Bypass(1, "zero-the-hook-list", ("belljar.silenced", "list"), _TOLD, _SILENCED, _OPEN,
           also=_WALLS),
    Bypass(2, "proc-self-mem", ("open", "/proc/self/mem"), _TOLD, (*_SILENCED, *_TAMPERING), _OPEN,
           also="run: there is no /proc"),
    Bypass(2, "proc-self-mem-by-dir-fd", ("open", "mem"), _TOLD, (*_SILENCED, *_TAMPERING), _OPEN,
           also="run: there is no /proc"),
    Bypass(3, "bytearray-index", ("belljar.silenced", "list"), _TOLD, _SILENCED, _OPEN,
           before=(3, 14), also="run: all walls hold"),
    Bypass(4, "gc-finds-the-hook", ("gc.get_objects", ""), _OPEN, deceives="PROOF",
           also="the hook is no object of Python's"),
    Bypass(5, "fork-exec-directly", ("belljar.exec", "PROOF"), None,
           unheard=("subprocess.Popen", ""), deceives="PROOF", before=(3, 14),
           also="run: processes; cross-check: exec"),
    Bypass(6, "readline-history", ("import", "readline"), ("belljar.open", "PROOF"),
           deceives="PROOF", unheard=_OPEN, before=(3, 14), also="run: files; cross-check: open"),
    Bypass(7, "loader-load-module", ("os.system", "PROOF"), None, (), ("import", "xxsubtype"),
           "'xxsubtype'", "run: processes"),
    Bypass(8, "frames-of-others", ("object.__getattr__", "f_back|gi_frame|tb_frame"), _OPEN,
           deceives="PROOF", also="the hook has no frame and no globals"),
    Bypass(9, "module-already-imported", ("import", "'posix'"), ("os.mkdir", "PROOF"),
           deceives="import ('posix'", also="recorded from before the first import; run: files"),
    Bypass(10, "subinterpreter", ("os.system", "PROOF"), None, deceives="os.system (",
           also="run: processes"),
    Bypass(11, "direct-system-call", ("ctypes.dlsym", "syscall"), None, unheard=_OPEN,
           deceives="open ('PROOF", also=_NO_NATIVE),
    Bypass(11, "exec-of-plain-python", ("os.exec", "PROOF"), _OPEN, deceives="open ('PROOF",
           also="run: processes"),
    Bypass(12, "fork-leaves-the-sink", ("ctypes.dlsym", "syscall"), _OPEN,
           also="run: processes; every child has a hello and numbers of its own"),
    Bypass(13, "except-base-exception", _OPEN, None, also="a rule that kills; run: files"),
    Bypass(14, "earlier-hook-raises", ("sys.addaudithook", ""), _OPEN, _TAMPERING,
           also="the recorder's hook is the first"),
    Bypass(15, "planted-start", ("subprocess.Popen", ""), ("os.mkdir", "PROOF"),
           deceives="os.mkdir ('PROOF'", also="run: environment, processes"),
    Bypass(16, "memory-of-another-process", ("open", "/proc/"), _TOLD, (*_SILENCED, *_TAMPERING),
           _OPEN, also="run: processes, tracing"),
    Bypass(17, "names-that-the-hook-uses", _OPEN, None, deceives="PROOF",
           also="the hook calls nothing of Python's"),
)  # fmt: skip


def rows() -> list[str]:
    """The lines of the table."""
    found = ["| | Attack | The record shows | Finding or alert | What else stops or sees it |"]
    found.append("|---|---|---|---|---|")
    for one in BYPASSES:
        shown = [f"`{name}`" for name, _ in filter(None, (one.attempt, one.deed))]
        also = one.also.replace("|", "/")
        findings = ", ".join(f"`{text}`" for text in one.findings) or "–"
        cells = (f"{one.number} | `{one.id}`", ", ".join(dict.fromkeys(shown)), findings, also)
        found.append(f"| {' | '.join(cells)} |")
    return found


def score() -> str:
    """How many of the published classes leave what."""
    classes = {one.number for one in BYPASSES}
    told = {n for n in classes if any(b.findings for b in BYPASSES if b.number == n)}
    silenced = {b.number for b in BYPASSES if "silenced" in b.findings}
    return (
        f"{len(classes)} of {len(classes)} leave the attempt in the record; {len(told)} leave a "
        f"finding or an alert besides, {len(silenced)} of them because the hook was silenced."
    )


if __name__ == "__main__":
    print(score(), "", *rows(), sep="\n")
