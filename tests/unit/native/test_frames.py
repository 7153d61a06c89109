"""`scan_frames` accepts exactly the frames of the protocol and is safe on everything else."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belljar._native import scan_frames, unskipped

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


LOSS = {3: b"\x91\x03", 300: b"\x91\xcd\x01\x2c", 2**40: b"\x91\xcf" + (2**40).to_bytes(8, "big")}


def loss(seq, count):
    return frame(4, seq=seq, body=LOSS[count], version=2)


@pytest.mark.parametrize("version", [1, 2])
def test_frames_of_both_versions_are_read(version):
    data = frame(1, seq=0, version=version) + frame(version=version)
    assert scan_frames(data, {})[:2] == (66, 2)


@pytest.mark.parametrize("kind", [4, 5])
def test_the_first_version_has_no_such_kinds(kind):
    with pytest.raises(ValueError, match="bad kind"):
        scan_frames(frame(kind, version=1), {})


@pytest.mark.parametrize("count", LOSS)
def test_a_loss_accounts_for_the_numbers_that_it_names(count):
    last: dict[int, int] = {}
    data = HELLO + frame() + loss(1 + count, count) + frame(seq=2 + count)
    _, frames, flagged, gaps = scan_frames(data, last)
    assert (frames, gaps, last) == (4, [], {7: 2 + count})
    assert flagged == [(0, 33), (66, len(loss(0, count)))]


def test_a_loss_that_names_too_few_or_too_many_is_a_gap():
    assert scan_frames(HELLO + frame() + loss(9, 3), {})[3] == [(7, 2, 7)]
    assert scan_frames(HELLO + frame() + loss(3, 3), {})[3] == [(7, 2, 1)]
    assert scan_frames(HELLO + frame(4, seq=4, version=2), {})[3] == [(7, 1, 5)]  # it names none


def test_traced_system_calls_are_told_and_have_no_number():
    last = {7: 3}
    data = frame(5, seq=99, version=2) + frame(seq=4) + frame(5, pid=8, version=2)
    assert scan_frames(data, last) == (99, 3, [(0, 33), (66, 33)], [])
    assert last == {7: 4}


def event(name, **options):
    return frame(body=b"\x94" + name + b"\x90\xc0\xc0", version=2, **options)


def test_events_are_picked_by_name():
    parts = [
        HELLO,
        event(b"\xa4open"),
        event(b"\xa6import"),
        event(b"\xd9\x04open"),
        event(b"\xd9\x28" + b"x" * 40),
        loss(9, 3),
        event(b"\xc7\x02\x01\xed\xa0"),  # a name that is no plain text is never skipped
    ]
    data = b"".join(parts)
    places = unskipped(data, {b"open", b"x" * 40})
    assert [data[at : at + size] for at, size in places] == [parts[2], parts[6]]
    assert len(unskipped(data, frozenset())) == 5
    assert len(unskipped(data[:-1] + b"", set())) == 4  # what is not whole is not there
    assert unskipped(b"garbage" * 30, set()) == []


def test_names_that_lie_about_their_length_are_never_skipped():
    for body in (b"\x94", b"\x94\xbf", b"\x94\xd9", b"\x94\xd9\xff" + b"x" * 9, b"\xa4open"):
        assert len(unskipped(frame(body=body), {b"", b"x" * 9, b"open"})) == 1


@pytest.mark.parametrize("arguments", [(b"",), ("", set()), (bytearray(), set())])
def test_other_arguments_of_picking_are_type_errors(arguments):
    with pytest.raises(TypeError):
        unskipped(*arguments)
    with pytest.raises(TypeError):
        unskipped(event(b"\xa4open"), 5)


pieces = st.one_of(
    st.binary(max_size=80),
    st.builds(
        frame,
        kind=st.integers(0, 6),
        version=st.integers(0, 3),
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
    for offset, length in unskipped(data, {b"open"}):
        assert data[offset : offset + 2] == b"BJ"
        assert offset + length <= len(data)
    try:
        consumed, count, flagged, _ = scan_frames(data, last)
    except ValueError:
        return
    assert 0 <= consumed <= len(data)
    assert 33 * count <= consumed
    for offset, length in flagged:
        assert data[offset : offset + 2] == b"BJ"
        assert offset + length <= consumed
