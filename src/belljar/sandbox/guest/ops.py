"""What host and guest may ask of each other: operations, who may ask them and when, and the limits.

Part of the live guest's first lines, and read by the host too; runs on any CPython from 3.8.
The protocol is described in docs/bridge.md.
"""

#: Kinds of frames.
REQUEST, REPLY, RAISED, NOTE, DESCRIPTORS = 1, 2, 3, 4, 5
#: Who may send: the side, and whether the frame is a REQUEST or a NOTE.
ASKED_BY_HOST, ASKED_BY_GUEST, NOTED_BY_HOST, NOTED_BY_GUEST = 1, 2, 3, 4
#: When: OUTSIDE of any request of the other side (parent 0), INSIDE one, or both.
OUTSIDE, INSIDE, ANY = 1, 2, 3

#: The phase table: number, name, who, when. Whatever is not in it is refused.
OPERATIONS = (
    (1, "run", ASKED_BY_HOST, ANY),
    (2, "call", ASKED_BY_HOST, ANY),
    (3, "put", ASKED_BY_HOST, ANY),
    (4, "get", ASKED_BY_HOST, ANY),
    (5, "share", ASKED_BY_HOST, ANY),
    (6, "unshare", ASKED_BY_HOST, ANY),
    (7, "reset", ASKED_BY_HOST, OUTSIDE),
    (8, "describe", ASKED_BY_HOST, OUTSIDE),
    (9, "method", ASKED_BY_HOST, ANY),
    (10, "drop", NOTED_BY_HOST, OUTSIDE),
    (11, "buffer", ASKED_BY_HOST, ANY),
    (12, "branch", ASKED_BY_HOST, OUTSIDE),
    (13, "channel", ASKED_BY_HOST, OUTSIDE),
    (64, "call", ASKED_BY_GUEST, ANY),
    (65, "get", ASKED_BY_GUEST, ANY),
    (66, "drop", NOTED_BY_GUEST, OUTSIDE),
    (67, "box", ASKED_BY_GUEST, ANY),
    (68, "narrow", ASKED_BY_GUEST, ANY),
    (69, "buffer", ASKED_BY_GUEST, ANY),
    (70, "free", NOTED_BY_GUEST, OUTSIDE),
)
#: Each side's operations by name, and what the other side makes of their numbers:
#: number -> (name, when).
HOST_ASKS = {name: number for number, name, who, _ in OPERATIONS if who == ASKED_BY_HOST}
HOST_NOTES = {name: number for number, name, who, _ in OPERATIONS if who == NOTED_BY_HOST}
GUEST_ASKS = {name: number for number, name, who, _ in OPERATIONS if who == ASKED_BY_GUEST}
GUEST_NOTES = {name: number for number, name, who, _ in OPERATIONS if who == NOTED_BY_GUEST}
FROM_HOST = {n: (name, when) for n, name, who, when in OPERATIONS if who == ASKED_BY_HOST}
NOTES_FROM_HOST = {n: (name, when) for n, name, who, when in OPERATIONS if who == NOTED_BY_HOST}
FROM_GUEST = {n: (name, when) for n, name, who, when in OPERATIONS if who == ASKED_BY_GUEST}
NOTES_FROM_GUEST = {n: (name, when) for n, name, who, when in OPERATIONS if who == NOTED_BY_GUEST}

#: What a reference names, for `refer` and `resolve` of `values`.
HOST_OBJECT, GUEST_OBJECT, BUFFER = 1, 2, 3

FRAME = 64 << 20  # bytes of a body
NESTED = 32  # requests inside one another, both sides together
OUTSTANDING = 64  # requests of one side without an answer
#: Characters of what a RAISED frame tells: type name, message, traceback text.
NAME_OF_ERROR, MESSAGE_OF_ERROR, TEXT_OF_ERROR = 256, 65536, 262144
