"""Whatever an upper layer and the host's directory hold, a merge touches nothing outside."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given, settings
from hypothesis import strategies as st

from belljar.confine.overlay.merge import Pending, find
from belljar.errors import BelljarError

NAMES = st.sampled_from(["a", "b", "c", "\x1b[31m", "-rf", "x\ny", "\udce9"])
LINKS = st.sampled_from(["../outside", "../outside/secret", "../../outside", "a", "..", "/", "OUT"])
LEAVES = st.one_of(
    st.tuples(st.just("file"), st.sampled_from(["", "text"]), st.sampled_from([0o644, 0o4755, 0])),
    st.tuples(st.just("link"), LINKS, st.just(0)),
    st.tuples(st.just("white"), st.just(""), st.just(0)),
    st.tuples(st.just("fifo"), st.just(""), st.just(0)),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.tuples(
        st.sampled_from(["dir", "opaque"]), st.dictionaries(NAMES, inner, max_size=3), st.just(0)
    ),
    max_leaves=8,
)
TOPS = st.dictionaries(NAMES, TREES, max_size=4)


def lay(path: str, tree: tuple, outside: str, bits: int = 0o7777) -> None:
    kind, what, mode = tree
    if kind == "file":
        with open(path, "w") as file:
            file.write(what)
        os.chmod(path, mode & bits)
    elif kind == "link":
        os.symlink(what.replace("OUT", outside), path)
    elif kind == "white":
        os.mknod(path, 0o020000, 0)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        os.mkdir(path)
        if kind == "opaque":
            os.setxattr(path, "user.overlay.opaque", b"y")
        for name, inner in what.items():
            lay(os.path.join(path, name), inner, outside, bits)


def picture(place: str) -> list[tuple]:
    found = []
    for folder, names, files in os.walk(place):
        for name in [".", *names, *files]:
            stat = os.lstat(os.path.join(folder, name))
            found.append((folder, name, stat.st_mode, stat.st_ino, stat.st_mtime_ns, stat.st_nlink))
    return sorted(found)


@settings(max_examples=60, deadline=None)
@example(upper={"a": ("file", "", 0)}, host={}, links=False)
@given(upper=TOPS, host=TOPS, links=st.booleans())
def test_nothing_outside_is_touched(upper: dict, host: dict, links: bool) -> None:
    with TemporaryDirectory(ignore_cleanup_errors=True) as base:
        outside, place = f"{base}/outside", f"{base}/host"
        store = f"{base}/state/belljar/overlays/0a"
        os.makedirs(f"{outside}/a/b")
        os.makedirs(f"{store}/data")
        with open(f"{outside}/secret", "w") as file:
            file.write("secret")
        lay(place, ("dir", host, 0), outside, 0o777)
        lay(f"{store}/data/upper", ("dir", upper, 0), outside)
        stat = os.stat(place)
        about = {"directory": place, "device": stat.st_dev, "inode": stat.st_ino}
        Path(store, "about.json").write_text(json.dumps({**about, "started": 2**62}))
        before = picture(outside)
        old = os.environ.get("XDG_STATE_HOME")
        os.environ["XDG_STATE_HOME"] = f"{base}/state"
        try:
            with Pending(find("0a"), links=links) as pending:
                wanted = pending.changes()
                pending.merge(lambda change: None)
            with Pending(find("0a"), links=links) as pending:
                left = pending.changes()
        except BelljarError as error:
            assert "still waits" in str(error) or "denied" in str(error)  # noqa: PT017
            wanted = left = []
        finally:
            if old is None:
                del os.environ["XDG_STATE_HOME"]
            else:
                os.environ["XDG_STATE_HOME"] = old
        assert picture(outside) == before
        # merged once, nothing but what is refused is left to do
        refused = {c.path for c in wanted if c.kind == "refused"}
        # but for what an ordinary user merged and cannot read: that is told as changed
        rest = {c.path for c in left if os.access(os.path.join(place, c.path), os.R_OK)}
        assert rest <= refused
        if os.geteuid() == 0:
            assert {c.path for c in left} <= refused
        for folder, _, files in os.walk(place):
            for name in files:
                assert not os.lstat(os.path.join(folder, name)).st_mode & 0o6000
        subprocess.run(["/bin/chmod", "-R", "u+rwX", base], check=False, stderr=subprocess.DEVNULL)
