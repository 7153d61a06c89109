"""`scan_frames` accepts exactly the frames of the protocol and is safe on everything else."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belljar._native import scan_frames

HEADER = struct.Struct("<HHBBHIIQQ")


def frame(kind=2, *, flags=0, pid=7, seq=1, body=b"\x90", magic=0x4A42, version=1, length=None):
    size = HEADER.size + len(body) if length is None else length
    return HEADER.pack(magic, size, kind, flags, version, pid, 1, seq, 0) + body


HELLO = frame(1, seq=0)


def test_whole_frames_are_counted_and_flagged():
    data = HELLO + frame() + frame(flags=1, seq=2) + frame(3, seq=2)
    last: dict[int, int] = {}
    assert scan_frames(data, last) == (132, 4, [(0, 33), (66, 33), (99, 33)], [])
    assert last == {7: 2}


def test_a_partial_frame_is_left_for_later():
    data = HELLO + frame()
    for size in range(len(data)):
        consumed, count, _, _ = scan_frames(data[:size], {})
        assert consumed == (33 if size >= 33 else 0)
        assert count == consumed // 33


def test_a_gap_names_what_was_due_and_what_came():
    last = {7: 3}
    assert scan_frames(frame(seq=6) + frame(seq=7), last)[3] == [(7, 4, 6)]
    assert last == {7: 7}


def test_an_event_of_an_unknown_process_and_a_short_farewell_are_gaps():
    assert scan_frames(frame(seq=2), {})[3] == [(7, 0, 2)]
    assert scan_frames(HELLO + frame(3, seq=4), {})[3] == [(7, 0, 4)]


def test_a_second_hello_starts_again():
    assert scan_frames(HELLO + frame() + HELLO + frame(), {})[3] == []


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (frame(magic=0x4A43), "magic"),
        (frame(version=0), "version"),
        (frame(version=3), "version"),
        (frame(kind=0), "kind"),
        (frame(kind=4), "kind"),
        (frame(kind=6, version=2), "kind"),
        (frame(length=32), "length"),
        (frame(length=0), "length"),
        (frame(length=4097), "length"),
    ],
)
def test_what_is_no_frame_is_refused_at_its_offset(bad, why):
    last: dict[int, int] = {}
    with pytest.raises(ValueError, match=f"bad {why} in the frame at offset 0"):
        scan_frames(bad, last)
    assert last == {}
    assert scan_frames(HELLO + bad, last)[:2] == (33, 1)


@pytest.mark.parametrize("arguments", [(b"",), ("", {}), (bytearray(), {}), (b"", [])])
def test_other_arguments_are_type_errors(arguments):
    with pytest.raises(TypeError):
        scan_frames(*arguments)


def test_a_strange_last_number_raises_and_does_not_crash():
    for strange in (-1, "x", 2**80):
        with pytest.raises((OverflowError, TypeError)):
            scan_frames(frame(), {7: strange})


pieces = st.one_of(
    st.binary(max_size=80),
    st.builds(
        frame,
        kind=st.integers(0, 5),
        flags=st.integers(0, 255),
        pid=st.integers(0, 3),
        seq=st.integers(0, 2**64 - 1),
        body=st.binary(max_size=60),
        length=st.none() | st.integers(0, 65535),
    ),
)


@settings(max_examples=500, deadline=None)
@given(st.lists(pieces, max_size=8))
def test_any_bytes_give_a_sound_answer(parts):
    data = b"".join(parts)
    last: dict[int, int] = {}
    try:
        consumed, count, flagged, _ = scan_frames(data, last)
    except ValueError:
        return
    assert 0 <= consumed <= len(data)
    assert 33 * count <= consumed
    for offset, length in flagged:
        assert data[offset : offset + 2] == b"BJ"
        assert offset + length <= consumed
