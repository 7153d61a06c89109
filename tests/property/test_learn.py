"""What was learned is enough for what was seen, holds nothing that was not needed, and survives
being written down, whatever the recorded program calls its files."""

from __future__ import annotations

import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from belljar.events.targets import resolve, targets
from belljar.model import Event, Frame, Grant, Policy
from belljar.policy import decide
from belljar.policy.facts import Facts
from belljar.policy.file import parse
from belljar.policy.items import Learned
from belljar.policy.learn import Learner
from belljar.policy.toml import to_toml

NAMES = ("a", "b.txt", "data", "out", ".ssh", "Makefile", "tmp", "srv")
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map(lambda p: "/" + "/".join(p))
FLAGS = {"r": 0, "w": 0o1101, "a": 0o2101, "x": 0o301, "r+": 2, "w+": 0o1102}


def event(name: str, *args: object) -> Event:
    right, target, asked = resolve(name, args, "/srv")[0]
    where = (Frame("/srv/x.py", 1, "f"),)
    return Event(1, 0, 7, 7, name, args, right, target, asked, where, "/srv")


OPENS = st.builds(lambda p, m: event("open", p, m, FLAGS[m]), PATHS, st.sampled_from(sorted(FLAGS)))
EVENTS = st.one_of(
    OPENS,
    st.builds(lambda p: event("os.listdir", p), PATHS),
    st.builds(lambda p: event("os.remove", p, -1), PATHS),
    st.builds(lambda p: event("os.mkdir", p, 0o777, -1), PATHS),
    st.builds(lambda p, q: event("os.rename", p, q, -1, -1), PATHS, PATHS),
    st.builds(
        lambda h, p: event("socket.connect", None, (h, p)),
        st.sampled_from(("10.0.0.1", "::1", "169.254.169.254")), st.integers(1, 3),
    ),
    st.builds(
        lambda p: event("subprocess.Popen", p, None, None, None),
        st.sampled_from(("sort", "/usr/bin/sort", "/opt/tool", "gone")),
    ),
    st.sampled_from(("ctypes", "_ctypes", "json", "cffi")).map(
        lambda n: event("import", n, None, None, None, None)
    ),
)  # fmt: skip


@st.composite
def hosts(draw: st.DrawFn) -> Facts:
    """A file system as it is after the program ran, and what of it is new."""
    kinds: dict[str, str] = {}
    new: dict[str, bool] = {}
    for path in draw(st.lists(PATHS, max_size=20)):
        above = ""
        for part in path.split("/")[1:-1]:
            above += f"/{part}"
            if kinds.get(above) == "file":
                break
            kinds[above] = "directory"
        else:
            kinds.setdefault(path, draw(st.sampled_from(("file", "directory"))))
    for path in sorted(kinds):
        parent = path.rpartition("/")[0]
        new[path] = new.get(parent, False) or draw(st.booleans())

    def program(name: str) -> tuple[str, str]:
        if name == "gone":
            return "", "there is no such program"
        return (name if "/" in name else f"/usr/bin/{name}"), ""

    return Facts(
        kind=lambda path: "directory" if path == "/" else kinds.get(path, ""),
        new=lambda path: new.get(path),
        owner=lambda _path: "",
        program=program,
        private=("/tmp",),
        obeyed=("Makefile",),
    )


def needs(one: Event) -> list[Event]:
    return [
        one.replace(name="", args=(), right=right, target=target)
        for right, target in targets(one)
        if target is not None
    ]


def with_proposed(learned: Learned) -> Policy:
    proposed = tuple(
        Grant(i.key, f"tcp:{i.value}" if i.key == "connect" else i.value, "proposed")
        for i in learned.items
        if i.withheld
    )
    return learned.policy.replace(grants=learned.policy.grants + proposed)


def learn(facts: Facts, events: list[Event]) -> Learned:
    learner = Learner(facts)
    for one in events:
        learner.add(one)
    return learner.finish()


@settings(max_examples=300)
@given(hosts(), st.lists(EVENTS, max_size=15))
def test_the_policy_denies_nothing_that_was_seen_but_what_it_says_it_leaves_out(
    facts: Facts, events: list[Event]
) -> None:
    learned = learn(facts, events)
    everything = with_proposed(learned)
    for one in (need for each in events for need in needs(each)):
        if (one.right, one.target) not in learned.left:
            assert decide(everything, one).verdict != "deny", (one, learned)


@settings(max_examples=300)
@given(hosts(), st.lists(EVENTS, max_size=15))
def test_without_any_one_of_its_grants_something_that_was_seen_is_denied(
    facts: Facts, events: list[Event]
) -> None:
    learned = learn(facts, events)
    grants = learned.policy.grants
    seen = [need for each in events for need in needs(each)]
    for index in range(len(grants)):
        less = learned.policy.replace(grants=grants[:index] + grants[index + 1 :])
        assert any(
            decide(less, one).verdict == "deny" and decide(learned.policy, one).verdict != "deny"
            for one in seen
        ), (grants[index], learned)


@given(hosts(), st.lists(EVENTS, max_size=15))
def test_secrets_and_what_others_obey_are_never_granted(facts: Facts, events: list[Event]) -> None:
    learned = learn(facts, events)
    for grant in learned.policy.grants:
        assert ".ssh" not in grant.target.split("/")
        assert grant.right != "write" or "Makefile" not in grant.target.split("/")
        assert "169.254.169.254" not in grant.target
        assert grant.target != "/"


WILD = st.text(st.characters(exclude_characters="\0/", exclude_categories=("Cs",)), min_size=1)


@given(st.lists(WILD, min_size=1, max_size=4), WILD, st.sampled_from(("/srv", "/", "/tmp/x")))
def test_any_name_survives_being_written_down(names: list[str], file: str, folder: str) -> None:
    parts = [name for name in names if name not in (".", "..")] or ["a"]
    path = "/srv/" + "/".join(parts)
    facts = Facts(kind=lambda p: "file" if p == path else "directory", new=lambda _p: False)
    one = event("open", path, "r", 0).replace(stack=(Frame(file + "\n[x]\n", 1, file),))
    learned = learn(facts, [one])
    text = to_toml(learned, folder, (file + "\nschema = 2",))
    again = parse(text, "learned.toml", folder)
    assert [(g.right, g.target) for g in again.grants] == [
        (g.right, g.target) for g in learned.policy.grants
    ]
    assert set(tomllib.loads(text)) <= {"schema", "files"}
