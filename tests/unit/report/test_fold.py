"""Many paths become few words that still count every one of them."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from belljar.report.fold import Paths, flow

PATHS = Paths("/home/me/p", "/home/me")
NAMES = st.text("abc.", min_size=1, max_size=3).filter(lambda s: set(s) != {"."})
TREES = st.sets(st.lists(NAMES, min_size=1, max_size=5).map(lambda p: "/" + "/".join(p)))


def test_the_working_directory_and_the_home_are_short():
    assert PATHS.short("/home/me/p/x") == "./x"
    assert PATHS.short("/home/me/p") == "."
    assert PATHS.short("/home/me/q") == "~/q"
    assert PATHS.short("/home/meander") == "/home/meander"


def test_a_name_that_looks_like_ours_does_not_pass_for_it():
    assert PATHS.short("/home/me/p/~/x") == "./~/x"
    assert PATHS.short("/w/a, /etc/passwd") == "'/w/a, /etc/passwd'"
    assert Paths("/", "").short("/etc") == "/etc"


def test_one_directory_with_all_files_is_told_by_its_name():
    assert PATHS.fold([f"/srv/a/b/{n}" for n in range(9)], 3) == ["/srv/a/b/ (9 files)"]


def test_what_splits_into_few_is_split_first():
    paths = [f"/srv/many/{n}" for n in range(50)] + ["/etc/a", "/etc/b", "/x"]
    assert PATHS.fold(paths, 4) == ["/etc/a", "/etc/b", "/x", "/srv/many/ (50 files)"]


def test_directories_that_were_made_end_in_a_slash():
    assert PATHS.fold(["/w/new/"], 3) == ["/w/new/"]
    assert PATHS.fold(["/w/new/", "/w/new/a", "/w/new/b"], 1) == ["/w/new/ (3 files)"]


def test_what_stands_for_more_files_than_are_known_says_so():
    assert PATHS.fold(["/srv/a/1", "/srv/a/2", "/srv/a/...", "/x"], 2) == [
        "/x", "/srv/a/ (over 2 files)",
    ]  # fmt: skip


def test_too_many_places_end_in_a_count():
    folded = PATHS.fold([f"/{n}/a/{n}" for n in range(9)], 3)
    assert len(folded) == 3
    assert folded[-1] == "7 elsewhere"


@given(TREES, st.integers(1, 12))
def test_no_path_is_lost(paths, most):
    folded = PATHS.fold(paths, most)
    assert len(folded) <= most or not paths
    counted = 0
    for text in folded:
        match = re.search(r"\((\d+) files?\)$|^(\d+) elsewhere$", text)
        counted += int(match[1] or match[2]) if match else 1
    assert counted == len(paths)


@given(
    st.lists(st.text(max_size=60), max_size=30),
    st.integers(60, 120),
    st.integers(1, 5),
)
def test_lines_never_are_wider_or_more_than_asked(items, width, lines):
    found = flow("  label    ", items, width, lines)
    assert len(found) <= lines
    assert all(len(line) <= width for line in found)
    assert "".join(found).isprintable()
    whole = " ".join(line.strip() for line in found)
    match = re.search(r", and (\d+) more$", whole)
    if not match and items:
        assert len(found) >= 1
