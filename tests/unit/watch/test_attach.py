"""The environment of a recorded process."""

from __future__ import annotations

import pytest

from belljar.errors import BelljarError
from belljar.watch.attach import environment


def test_ours_is_loaded_first_and_once():
    env = environment({"LD_PRELOAD": "a.so /r.so:b.so", "X": "1"}, "/c", recorder="/r.so")
    assert env == {"LD_PRELOAD": "/r.so:a.so:b.so", "X": "1", "BELLJAR_CHANNEL": "/c"}


def test_what_an_outer_sandbox_set_does_not_leak_in():
    outer = {"BELLJAR_STRICT": "1", "BELLJAR_WINDOW": "/w", "BELLJAR_CHANNEL": "/other"}
    env = environment(outer, "/c", recorder="/r.so")
    assert env == {"LD_PRELOAD": "/r.so", "BELLJAR_CHANNEL": "/c"}
    env = environment({}, "/c", window="/t", strict=True, recorder="/r.so")
    assert (env["BELLJAR_WINDOW"], env["BELLJAR_STRICT"]) == ("/t", "1")


@pytest.mark.parametrize("place", ["/with space/r.so", "/with:colon/r.so"])
def test_a_place_that_the_loader_cannot_name_is_refused(place):
    with pytest.raises(BelljarError, match="no path has a space"):
        environment({}, "/c", recorder=place)
