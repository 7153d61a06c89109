"""The environment of a recorded process."""

from __future__ import annotations

import pytest

from belljar.errors import BelljarError
from belljar.watch.attach import environment, settings


def test_ours_is_loaded_first_and_once():
    env = environment({"LD_PRELOAD": "a.so /r.so:b.so", "X": "1"}, "/c", recorder="/r.so")
    assert env == {"LD_PRELOAD": "/r.so:a.so:b.so", "X": "1", "BELLJAR_CHANNEL": "/c"}


def test_what_an_outer_sandbox_set_does_not_leak_in():
    outer = {"BELLJAR_STRICT": "1", "BELLJAR_WINDOW": "/w", "BELLJAR_CHANNEL": "/other"}
    outer |= {"BELLJAR_ANSWERS": "/a", "BELLJAR_SETTINGS": "/s", "BELLJAR_PAGE": "/p"}
    env = environment(outer, "/c", recorder="/r.so")
    assert env == {"LD_PRELOAD": "/r.so", "BELLJAR_CHANNEL": "/c"}
    env = environment({}, "/c", window="/t", strict=True, recorder="/r.so")
    assert (env["BELLJAR_WINDOW"], env["BELLJAR_STRICT"]) == ("/t", "1")


@pytest.mark.parametrize("place", ["/with space/r.so", "/with:colon/r.so"])
def test_a_place_that_the_loader_cannot_name_is_refused(place):
    with pytest.raises(BelljarError, match="no path has a space"):
        environment({}, "/c", recorder=place)


def test_settings_are_lines_of_key_and_value():
    text = settings("exit", 0.25, 8, True, [("keep", "open"), ("skip", "*")], resolve=True)
    assert text == (
        "overflow\texit\ndeadline\t250\nstacks\t8\nlocals\t1\nresolve\t1\nkeep\topen\nskip\t*\n"
    )
    assert settings().startswith("overflow\tblock\ndeadline\t5000\nstacks\t0\nlocals\t0\n")


@pytest.mark.parametrize(
    "wrong",
    [
        {"overflow": "wait"},
        {"deadline": 0},
        {"deadline": 0.0001},
        {"deadline": 86401},
        {"deadline": float("nan")},
        {"stacks": 33},
        {"stacks": -1},
        {"select": [("ask", "")]},
        {"select": [("ask", "a\tb")]},
        {"select": [("ask", "a\nskip\t*")]},
        {"select": [("ask", "x" * 129)]},
        {"select": [("hide", "open")]},
        {"select": [("skip", "x")] * 4097},
    ],
    ids=str,
)
def test_settings_that_the_recorder_would_refuse_are_refused_here(wrong):
    with pytest.raises(ValueError, match=r"."):
        settings(**wrong)
