"""Signed notes and their keys, against the published examples."""

from __future__ import annotations

import base64
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from belljar.ledger.tree.note import (
    COSIGNATURE,
    MAX_NOTE,
    NoteMalformed,
    NoteUnverified,
    SigningKey,
    cosign,
    cosigned_at,
    open_note,
    parse_note,
    parse_private,
    parse_signature,
    parse_vkey,
    sign,
)

# C2SP signed-note, section "Example".
SPEC_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ON"
    "ncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()

# The documentation of golang.org/x/mod/sumdb/note: keys, text and both signatures.
GO_PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_VKEY_2 = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
GO_TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
GO_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6"
    "KE6RyyBwJnAM=\n"
)
GO_LINE_2 = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33W"
    "Wd1RvMc+QQ=\n"
)

# A checkpoint of the Go checksum database, as github.com/transparency-dev/formats has it in
# log/note_test.go, and the key that the go command ships.
SUM_VKEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
SUM_NOTE = (
    "go.sum database tree\n6476701\nmb8QLQIs0Z0yP5Cstq6guj87oXWeC9gEM8oVikmm9Wk=\n\n"
    "— sum.golang.org Az3grsLX85Gz+s1SiTbgkuqxgItqFq7gsMUEyVnrsa9LM7Us9S+1xbFIGu95949rj4nPRYfvimWEP"
    "WL+o3GeoWwOoAw=\n"
).encode()

# C2SP tlog-cosignature, section "Format": a cosignature and the time that it says.
SPEC_COSIGNATURE = (
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2o"
    "yin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA=="
)


def test_the_example_of_the_specification_verifies() -> None:
    assert open_note(SPEC_NOTE, [parse_vkey(SPEC_VKEY)]).text == "This is an example message.\n"
    assert parse_vkey(SPEC_VKEY).vkey() == SPEC_VKEY


def test_the_checkpoint_of_the_go_checksum_database_verifies() -> None:
    assert open_note(SUM_NOTE, [parse_vkey(SUM_VKEY)]).text.startswith("go.sum database tree\n")


def test_the_example_of_the_go_package_is_signed_byte_for_byte() -> None:
    key = parse_private(GO_PRIVATE)
    assert (key.public.vkey(), key.private()) == (GO_VKEY, GO_PRIVATE)
    assert sign(GO_TEXT, [key]) == f"{GO_TEXT}\n{GO_LINE}".encode()


def test_the_example_with_two_signatures_verifies_for_one_and_for_both() -> None:
    data = f"{GO_TEXT}\n{GO_LINE}{GO_LINE_2}".encode()
    keys = [parse_vkey(GO_VKEY), parse_vkey(GO_VKEY_2)]
    assert len(open_note(data, keys, every=True).signatures) == 2
    assert [one.name for one in open_note(data, keys[1:]).signatures] == ["EnochRoot"]
    with pytest.raises(NoteUnverified, match="not signed by PeterNeumann"):
        open_note(f"{GO_TEXT}\n{GO_LINE_2}".encode(), keys, every=True)


@pytest.mark.parametrize("text", [GO_VKEY, GO_PRIVATE])
def test_no_part_of_a_key_and_no_key_with_a_byte_changed_is_a_key(text: str) -> None:
    parse = parse_private if text is GO_PRIVATE else parse_vkey
    wrong = [text[i:j] for i in range(len(text)) for j in range(i + 1, len(text) + 1)]
    wrong.remove(text)
    wrong += [text[:i] + chr(ord(c) + 1) + text[i + 1 :] for i, c in enumerate(text)]
    for one in wrong:
        with pytest.raises(NoteMalformed):
            parse(one)


@pytest.mark.parametrize(
    "vkey",
    [  # x/mod/sumdb/note, note_test.go: a key of the wrong length, an unknown algorithm
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "",
        "a+b",
        "a b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ],
)
def test_a_key_of_another_kind_is_refused(vkey: str) -> None:
    with pytest.raises(NoteMalformed):
        parse_vkey(vkey)


def test_the_error_of_a_bad_private_key_does_not_quote_it() -> None:
    with pytest.raises(NoteMalformed) as caught:
        parse_private(GO_PRIVATE.replace("c74f20a3", "c74f20a4"))
    assert "AYEK" not in str(caught.value)
    assert "AYEK" not in repr(parse_private(GO_PRIVATE))


def test_every_flipped_bit_of_a_note_is_found() -> None:
    key = parse_vkey(GO_VKEY)
    data = bytearray(f"{GO_TEXT}\n{GO_LINE}".encode())
    for bit in range(len(data) * 8):
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises((NoteMalformed, NoteUnverified)):
            open_note(bytes(data), [key])
        data[bit // 8] ^= 1 << bit % 8


def test_a_note_with_a_bad_signature_of_a_known_key_is_refused_whole() -> None:
    bad = GO_LINE_2.replace("rwz+eBzm", "rwz+eBzn")
    with pytest.raises(NoteUnverified, match="EnochRoot does not verify"):
        open_note(
            f"{GO_TEXT}\n{GO_LINE}{bad}".encode(), [parse_vkey(GO_VKEY), parse_vkey(GO_VKEY_2)]
        )
    # of an unknown key it is passed over
    assert open_note(f"{GO_TEXT}\n{GO_LINE}{bad}".encode(), [parse_vkey(GO_VKEY)]).text == GO_TEXT


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text\n",
        b"text\n\n",
        f"text\n{GO_LINE}".encode(),
        f"text\n\n{GO_LINE}".encode()[:-1],
        f"text\n\n{GO_LINE}\n".encode(),
        f"text\n\n{GO_LINE}extra\n".encode(),
        f"te\rxt\n\n{GO_LINE}".encode(),
        f"te\x00xt\n\n{GO_LINE}".encode(),
        b"te\xffxt\n\n" + GO_LINE.encode(),
        f"text\n\n{GO_LINE.replace('Neumann', 'Neu+mann')}".encode(),
        ("text\n\n" + GO_LINE.replace("Neumann", "Neu\u00a0mann")).encode(),
        f"text\n\n{GO_LINE.replace('AM=', 'AN=')}".encode(),  # not the one way to write it
        "text\n\n— a AAAA\n".encode(),
        ("text\n\n" + GO_LINE * 101).encode(),
        b"x" * (MAX_NOTE + 1),
    ],
)
def test_what_is_not_exactly_a_note_is_refused(data: bytes) -> None:
    with pytest.raises(NoteMalformed):
        parse_note(data)


def test_an_empty_line_in_the_text_belongs_to_the_text() -> None:
    key = SigningKey.new("example.com/log")
    assert open_note(sign("a\n\nb\n", [key]), [key.public]).text == "a\n\nb\n"


@pytest.mark.parametrize("text", ["no newline", "a\tb\n", "a\x1bb\n"])
def test_a_text_that_no_note_can_hold_is_not_signed(text: str) -> None:
    with pytest.raises(ValueError, match="newline"):
        sign(text, [SigningKey.new("a")])


def test_a_cosignature_signs_the_time_and_the_whole_text() -> None:
    """The message is put together here, word for word from C2SP tlog-cosignature."""
    seed = bytes(range(32))
    witness = SigningKey("witness.example/w1", seed, COSIGNATURE)
    log = parse_private(GO_PRIVATE)
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    data = cosign(sign(text, [log]), witness, 1679315147)
    message = f"cosignature/v1\ntime 1679315147\n{text}".encode()
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key().public_bytes_raw()
    key_id = sha256(b"witness.example/w1\n\x04" + public).digest()[:4]
    blob = key_id + (1679315147).to_bytes(8, "big") + private.sign(message)
    line = f"— witness.example/w1 {base64.b64encode(blob).decode()}\n"
    assert data == sign(text, [log]) + line.encode()
    found = open_note(data, [log.public, witness.public], every=True)
    assert cosigned_at(found.signatures[1]) == 1679315147
    late = data.replace(base64.b64encode(blob), base64.b64encode(blob[:11] + b"\xff" + blob[12:]))
    with pytest.raises(NoteUnverified):
        open_note(late, [witness.public])


def test_the_example_of_a_cosignature_says_the_time_of_its_specification() -> None:
    found = parse_signature(SPEC_COSIGNATURE)
    assert (found.name, found.key.hex(), len(found.data)) == (
        "witness.example.com/w1",
        "8d66cf3f",
        72,
    )
    assert cosigned_at(found) == 1679315147


def test_one_key_has_another_id_for_each_type_and_neither_passes_for_the_other() -> None:
    seed = bytes(32)
    plain, cosigner = SigningKey("w", seed), SigningKey("w", seed, COSIGNATURE)
    assert plain.public.id != cosigner.public.id
    data = sign("a\n", [plain])
    forged = parse_note(data).signatures[0].replace(key=cosigner.public.id)
    with pytest.raises(NoteUnverified):
        open_note(b"a\n\n" + forged.line().encode(), [cosigner.public])
