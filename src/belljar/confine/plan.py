"""Policy + runtime + program -> the plan: everything the keeper has to do, as words.

Pure but for looking at the host's files: what is granted must exist, and is pinned by device
and inode, so that the keeper uses exactly what was checked here.
"""

from __future__ import annotations

import os

from belljar._native import RECORDER
from belljar.confine import interpreter, modules, narrowable, netinfo, network, sensitive
from belljar.confine.first_lines import LIVE_PARTS, PARTS, own_boot_file
from belljar.confine.program import Program
from belljar.confine.runtime import Runtime, Shown, as_it_is
from belljar.confine.runtime_view import add_runtime, system_libraries, system_list
from belljar.confine.settings import environment, limits
from belljar.confine.view import View, add_grants, shield
from belljar.confine.words import encode, unused_uid
from belljar.errors import BelljarError, ProgramNotExecutable, ProgramNotFound
from belljar.model import Grant, Policy, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from belljar.confine.appended import Folder, Pipe
    from belljar.confine.overlay import Overlay

_ETC = {
    "/etc/passwd": "guest:x:1000:1000:guest:/tmp:/bin/false\n",
    "/etc/group": "guest:x:1000:\n",
    "/etc/host.conf": "multi on\n",  # all addresses of a name in the hosts file, for old libraries
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
START = "/belljar/start"
#: What every guest may use of /dev.
DEVICES = (("null", "rw"), ("zero", "rw"), ("full", "rw"), ("random", "r"), ("urandom", "r"))


class Plan(Value):
    """`words` for the keeper, `boot` for the guest's first lines, and what came with them."""

    words: bytes
    boot: dict[str, object]
    implicit: tuple[Grant, ...]
    box: str
    runtime: Runtime
    places: tuple[sensitive.Place, ...]  # shielded where they exist
    sealed: bool  # the host waits for the keeper's word that the interpreter cannot run again
    mapped: tuple[tuple[str, str], ...]  # guest path -> host path, where they differ


def make(
    policy: Policy,
    runtime: Runtime,
    program: Program,
    tier: str,
    channel: str,
    page: str,
    scratch: str,
    cache: str | None = None,
    answers: str = "",
    settings: str = "",
    overlays: Sequence[Overlay] = (),
    appended: Sequence[Pipe] = (),
    shown: Shown | None = None,
    folders: Sequence[Folder] = (),
) -> Plan:
    """Lay out a sandbox. `channel` is the recorder's FIFO, `page` where its events may pend,
    `scratch` a private host directory (only used where there are no namespaces), `cache` where
    compiled files are kept. With `settings`, the text of the recorder's, `answers` is the file
    from which events that wait are answered. `overlays` and the pipes of what is `appended` are
    made already, `folders` are known, and so is what `shown` tells of.

    Raises `PolicyError`, `ProgramNotFound`, `ProgramNotExecutable`.
    """
    view = View(isolated=tier != "landlock")
    shown = shown or as_it_is(runtime)
    inner = shown.inner
    uid = unused_uid()
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    temporary = _temporary(policy) if view.isolated else scratch
    net = network.plan(policy, view.isolated)
    furniture(view, policy, temporary)
    interpreter.show_machine(view, policy)
    told = netinfo.show(view, policy, net)
    system_libraries(view, shown)
    named = add_runtime(view, policy, runtime, shown, os.path.join(here, "py.typed"))
    box, target = _add_program(view, program, scratch)
    private = os.path.dirname(channel) if channel != os.devnull else ""
    live = program.kind == "live"
    guest = own_boot_file(
        os.path.join(here, "sandbox", "guest"), runtime, cache, private,
        LIVE_PARTS if live else PARTS,
    )  # fmt: skip
    boot = "/belljar/boot" + guest[guest.rindex(".") :] if view.isolated else guest
    recorder = (view.isolated and "/belljar/recorder.so") or RECORDER
    events = (view.isolated and "/belljar/channel") or channel
    pending = (view.isolated and "/belljar/page") or page
    table = (view.isolated and "/belljar/window") or os.path.join(
        os.path.dirname(channel), "window"
    )
    view.bind(guest, boot, "", "r")
    view.bind(RECORDER, recorder, "x", "r")
    if tier == "root":
        for path in (channel, page, *((answers,) if settings else ())):
            os.chown(path, uid, uid)  # cheaper than mapping one file's owner
    view.bind(channel, events, "w", "w", os.stat(channel))
    view.bind(page, pending, "w", "rw", os.stat(page))
    waiting = _add_waiting(view, os.path.dirname(channel), answers, settings)
    base = dict(view.land)  # what stays with a guest that narrows itself
    programs: list[str] = []
    if any(grant.right == "run" for grant in policy.grants):
        from belljar.confine.programs import add_preload, add_programs

        programs = add_programs(view, policy, shown)
    processes = ""
    if policy.limits.processes > 1 and view.isolated:
        processes = "/belljar/processes.py"
        view.bind(os.path.join(here, "sandbox", "guest", "processes.py"), processes, "", "r")
    start = bool(programs) and inner.program not in programs
    if start:
        source = shown.source(inner.program)
        view.bind(source, START, "x", "rx")
        view.mount(inner.program, "bind", source, inner.program, "-", "0", "0")
    found = add_grants(view, policy.grants)
    for one in net.sockets:  # to be seen; only the keeper connects to it
        view.bind(one.path, view.placed(one.name), "o", "r", one.stat)
    requests: list[str] = []
    if policy.devices:
        from belljar.confine import devices

        requests = devices.add(view, policy, tier)
    for pipe in appended:
        view.bind(pipe.fifo, pipe.target, "w", "w", os.stat(pipe.fifo))
    found += [Grant("append", pipe.target, "") for pipe in appended]
    if overlays:
        from belljar.confine.overlay import add

        found += add(view, overlays)
    own = sensitive.ours(runtime.site, runtime.program)
    places = sensitive.places(tuple(found), program.cwd, (*program.protect, *own))
    added: tuple[str, ...] = ()
    kept: list[sensitive.Place] = []
    if folders:
        from belljar.confine.appended import add as add_folders

        protected = (*program.protect, *own)
        added, kept = add_folders(view, tuple(folders), policy, program.cwd, protected)
        found += [Grant("append", one.target, "") for one in folders]
    if not view.isolated:
        sensitive.check_own(policy.grants, own)
    for place in sorted(places, key=lambda p: p.guest):
        shield(view, place)
    view.allow(table, "r")
    base |= {path: "r" for path in (table, processes) if path}
    recording = (
        ("BELLJAR_CHANNEL", events),
        ("BELLJAR_PAGE", pending),
        ("BELLJAR_WINDOW", table),
        ("BELLJAR_STRICT", "1"),
        *waiting,
    )
    if programs:
        base |= add_preload(view, policy, recorder, recording)
    text = view.window_text()
    if view.isolated:
        view.add("file", table, text)
    else:
        with open(table, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)

    cwd = _working_directory(program.cwd, found, box)
    words = view.plan() + view.rules() + requests
    words += limits(policy, tier, live=live, branches=program.branches)
    words += (*net.words, *told, *added)
    if view.isolated:
        lent = live or policy.stdin != "null" or "inherit" in (policy.stdout, policy.stderr)
        # elsewhere the guest is another user than who owns the host's open files
        words += ("allow", "metadata-by-path" if lent and tier == "user" else "metadata")
    if policy.limits.processes > 1 or programs:
        words += ("allow", "fork")
    if program.branches:
        words += ("allow", "branch", "env", "BELLJAR_BRANCHES=1")
    if programs:
        words += ("allow", "exec")
    words += ("cwd", cwd, "program", inner.program)
    if not live:  # one that waits for its next call is not stuck
        words += ("wall", str(int((policy.limits.wall + 1) * 1000)))
    if start:
        words += ("start", START)
    for argument in (inner.program, "-I", "-S", "-B", "-X", "utf8", boot):
        words += ("arg", argument)
    for name, value in environment(policy, temporary):
        words += ("env", f"{name}={value}")
    for name, value in (
        ("LD_PRELOAD", recorder),
        ("LD_ORIGIN_PATH", os.path.dirname(inner.program)),  # for $ORIGIN: there is no procfs
        *recording,
        *(
            ()
            if view.isolated or not net.words
            else (("BELLJAR_HOSTS", network.answers(net.hosts)),)
        ),
    ):
        words += ("env", f"{name}={value}")
    return Plan(
        words=encode(words),
        boot={
            "kind": program.kind,
            "lines": policy.stdout == "capture" and os.isatty(1),
            "beside": {} if view.isolated else _modules(view, box),
            "target": target,
            "argv": list(program.args),
            "path": [box if view.isolated else "", inner.stdlib, inner.dynload, *inner.site],
            "runtime": [inner.stdlib, inner.dynload, *inner.site],
            "bytecode": policy.bytecode,
            "processes": processes,
            "executed": inner.program in programs,
            "modules": modules.allowed(policy, inner, named),
            "narrow": narrowable.facts(policy, view, base, found, programs, net, program, folders),
            **interpreter.settings(policy, named),
        },
        implicit=tuple(
            _implicit(right, path)
            for path, rights in view.window.items()
            for letter, right in (("r", "read"), ("w", "write"), ("l", "list"))
            if letter in rights
        )
        + tuple(_implicit("run", path) for path in programs)
        + net.implicit,
        box=box,
        runtime=runtime,
        places=(*places, *kept),
        sealed=start,
        mapped=_mapped(view, program, found, shown),
    )


def surroundings(policy: Policy, program: Program, runtime: Runtime) -> tuple[object, ...] | None:
    """All that `make` looks at of the host's for a live guest that is granted nothing and is shown
    as ever: while it is the same, so is the plan. None where more is looked at.

    >>> surroundings(Policy(net_info=True), Program("live", "", (), "/"), None) is None
    True
    """
    more = (policy.grants, policy.overlay, policy.block, policy.devices, policy.net_info,
            policy.env, policy.accept_from, program.protect)  # fmt: skip
    if program.kind != "live" or any(more):
        return None
    states: list[object] = [os.isatty(1), os.path.realpath(program.cwd)]
    for path in (system_list(), runtime.dynload):
        try:
            stat = os.stat(path)
        except OSError:
            states.append(None)
        else:
            states.append((stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(states)


#: The same grants come with every sandbox.
_given: dict[tuple[str, str], Grant] = {}


def _implicit(right: str, path: str) -> Grant:
    grant = _given.get((right, path))
    if grant is None:
        if len(_given) > 4096:
            _given.clear()
        grant = _given[right, path] = Grant(right, path, "runtime")
    return grant


def _add_waiting(
    view: View, beside: str, answers: str, settings: str
) -> tuple[tuple[str, str], ...]:
    """What the recorder needs so that events can wait for an answer; its variables."""
    if not settings:
        return ()
    told = "/belljar/settings" if view.isolated else f"{beside}/settings"
    if view.isolated:
        view.add("file", told, settings)
    else:
        with open(told, "x", encoding="utf-8") as file:
            file.write(settings)
    view.allow(told, "r")
    given = "/belljar/answers" if view.isolated else answers
    view.bind(answers, given, "w", "rw", os.stat(answers))
    return ("BELLJAR_ANSWERS", given), ("BELLJAR_SETTINGS", told)


def _temporary(policy: Policy) -> str:
    """Where the private tmpfs lies. Landlock rights reach down through mounts, so a grant beneath
    `/tmp` would inherit the rights of a private `/tmp`: then it lies elsewhere; TMPDIR tells."""
    files = (g.target for g in policy.grants if g.right in ("read", "write", "list", "append"))
    paths = (*files, *policy.overlay)
    shared = any(path == "/tmp" or path.startswith("/tmp/") for path in paths)
    return "/belljar/tmp" if shared else "/tmp"


def furniture(view: View, policy: Policy, temporary: str) -> None:
    for device, rights in DEVICES:
        view.bind(f"/dev/{device}", f"/dev/{device}", "wd", rights)
    if not view.isolated:
        view.allow(temporary, "rlwp")
        return
    for path, text in _ETC.items():
        view.file(path, text)
    view.mount(
        temporary, "tmpfs", temporary, f"size={policy.limits.disk},nr_inodes=65536,mode=1777"
    )
    view.allow(temporary, "rlwp")
    view.link("/dev/shm", temporary)
    view.window["/dev/shm"] = "rlw"
    view.directory("/box")
    view.land["/box"] = "rl"
    view.window["/box"] = "l."  # what is beside the script and not shown, does not exist


def _mapped(
    view: View, program: Program, found: list[Grant], shown: Shown
) -> tuple[tuple[str, str], ...]:
    pairs = [*shown.mapped]
    pairs += [(g.target, g.source) for g in found if g.source and g.source != g.target]
    if view.isolated:
        script = program.target if program.kind == "script" else ""
        folder = os.path.dirname(os.path.realpath(os.path.join(program.cwd, script or "x")))
        pairs.append(("/box", folder))
    return tuple(sorted(pairs, reverse=True))


def _add_program(view: View, program: Program, scratch: str) -> tuple[str, str]:
    """Show the script and the `.py` files beside it; returns (box, target in the guest)."""
    if program.kind in ("code", "live"):
        return ("/box" if view.isolated else scratch), program.target
    if program.kind == "module":
        top = program.target.partition(".")[0]
        package = os.path.join(program.cwd, top)
        if os.path.isfile(os.path.join(package, "__init__.py")) and _stays(package, program.cwd):
            view.bind(
                package, f"/box/{top}" if view.isolated else package, "o", "rl", os.stat(package)
            )
            return ("/box" if view.isolated else program.cwd), program.target
        if os.path.isfile(package + ".py") and _stays(package + ".py", program.cwd):
            return _add_beside(view, program.cwd, ""), program.target
        return ("/box" if view.isolated else scratch), program.target
    path = os.path.realpath(os.path.join(program.cwd, program.target))
    if not os.path.exists(path):
        raise ProgramNotFound(f"{program.target}: no such file")
    if os.path.isdir(path):
        raise ProgramNotExecutable(f"{program.target}: is a directory; use -m for a package")
    box = _add_beside(view, os.path.dirname(path), os.path.basename(path))
    return box, os.path.join(box, os.path.basename(path))


def _add_beside(view: View, folder: str, script: str) -> str:
    box = "/box" if view.isolated else folder
    with os.scandir(folder) as entries:
        # no links: one that a guest planted would show any file of the host's to the next guest
        names = [
            e.name
            for e in entries
            if e.name.endswith(".py") and e.is_file() and _stays(e.path, folder)
        ]
    if script and script not in names:
        names.append(script)
    if len(names) > 200:
        raise BelljarError(
            f"{folder}: {len(names)} Python files beside the script; move it to a directory of its "
            f"own, or grant the directory with --read and run it with -c"
        )
    for name in sorted(names):
        path = os.path.realpath(os.path.join(folder, name))
        stat = os.stat(path)
        # readable for all needs no mapping of its owner, which costs a namespace
        view.bind(path, os.path.join(box, name), "" if stat.st_mode & 4 else "o", "r", stat)
        if not view.isolated and path != os.path.join(box, name):
            raise BelljarError(f"{folder}/{name}: a link, which needs mount namespaces")
    return box


def _stays(path: str, folder: str) -> bool:
    return os.path.realpath(path).startswith(os.path.realpath(folder).rstrip("/") + "/")


def _modules(view: View, box: str) -> dict[str, str]:
    """Without namespaces the script's directory cannot be listed: its modules by name."""
    names = (os.path.relpath(path, box) for path in view.land if path.startswith(box + "/"))
    return {n.removesuffix(".py"): os.path.join(box, n) for n in names if n.endswith(".py")}


def _working_directory(cwd: str, found: list[Grant], box: str) -> str:
    for grant in found:
        inside = cwd == grant.target or cwd.startswith(grant.target.rstrip("/") + "/")
        if inside or grant.target.startswith(cwd.rstrip("/") + "/"):
            return cwd
    return box
