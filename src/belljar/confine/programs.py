"""Programs that the guest may execute (`run`)."""

from __future__ import annotations

import os

from belljar.confine.sensitive import beneath
from belljar.errors import PolicyError
from belljar.model import Grant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.confine.runtime import Shown
    from belljar.confine.view import View
    from belljar.model import Policy

_DEFAULT = "/usr/local/bin:/usr/bin:/bin"


def locate(grant: Grant) -> tuple[str, str]:
    """(where the guest finds it, the file on the host). Raises `PolicyError`.

    A bare name is looked up in the system's directories, not in the caller's PATH: what is
    granted must not depend on the environment.
    """
    name = grant.target
    if "/" in name:
        candidates = [name]
    else:
        candidates = [os.path.join(folder, name) for folder in _DEFAULT.split(":")]
    for candidate in candidates:
        real = os.path.realpath(candidate)
        if os.path.isfile(real):
            if not os.access(real, os.X_OK):
                raise PolicyError(grant.origin, f"run = {name}: {real} is not executable")
            with open(real, "rb") as file:
                if file.read(2) == b"#!":
                    raise PolicyError(
                        grant.origin, f"run = {name}: a script; grant the program that reads it"
                    )
            folder = os.path.realpath(os.path.dirname(candidate))
            return os.path.join(folder, os.path.basename(candidate)), real
    raise PolicyError(grant.origin, f"run = {name}: no such program")


def add_programs(view: View, policy: Policy, shown: Shown) -> list[str]:
    """Put them into the view; where the guest finds them. Raises `PolicyError`."""
    programs = []
    for grant in policy.grants:
        if grant.right != "run":
            continue
        path, real = locate(grant)
        inner = shown.guest(real)
        if inner == shown.inner.program and inner != real:
            # the guest's own interpreter finds its library beside where it lies
            if path != inner:
                view.link(path, inner)
            programs.append(inner)
        else:
            view.bind(real, path, "x", "rx", os.stat(real))
        programs.append(path)
    if programs and not view.isolated:
        raise PolicyError(
            next(g.origin for g in policy.grants if g.right == "run"),
            "run: programs need a PID namespace to be ended with the guest; not on this machine",
        )
    return programs


_FILES: Final = frozenset(("read", "list", "write", "append"))
#: Read by the C library's loader in every program (ld.so(8)), and by the recorder.
PRELOAD: Final = "/etc/ld.so.preload"
ENVIRONMENT: Final = "/belljar/environ"


def add_preload(
    view: View, policy: Policy, recorder: str, variables: tuple[tuple[str, str], ...]
) -> dict[str, str]:
    """Have the recorder in whatever is executed, and let it know what it needs, whoever executes it
    with whatever environment; the rights that go with it. Where `/etc` itself is granted it is the
    host's that is seen, and what passes its own environment on starts unrecorded."""
    rights = {ENVIRONMENT: "r"}
    view.file(ENVIRONMENT, "".join(f"{name}={value}\n" for name, value in variables))
    seen = [grant.target for grant in policy.grants if grant.right in _FILES]
    if not any(beneath(PRELOAD, path) for path in (*seen, *policy.overlay)):
        rights[PRELOAD] = "r"
        view.file(PRELOAD, recorder + "\n")
    return rights
