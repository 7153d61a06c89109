"""Text of a guest on a terminal: one line, and unable to pose as other text."""

from __future__ import annotations

import io
import unicodedata

import pytest

from belljar.report.text import paint, printable, say, wants_colour


def test_plain_text_stays_as_it_is() -> None:
    for text in ("", "abc /x/y.py", "é ü 日本", "a'b\"c"):
        assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", "\\x1b[31m"), ("a\nb", "a\\x0ab"), ("\r", "\\x0d"), ("\t", "\\x09"),
        ("\x00", "\\x00"), ("\x7f", "\\x7f"), ("\x9b31m", "\\x9b31m"), ("\x85", "\\x85"),
        ("\u202egpj.exe", "\\u202egpj.exe"), ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("a\u200bb", "a\\u200bb"), ("\u2028", "\\u2028"), ("\ufeff", "\\ufeff"),
        ("\u00ad", "\\xad"), ("\u061c", "\\u061c"), ("\U000e0041", "\\U000e0041"),
        ("\udcff", "\\xff"), ("\udc80", "\\x80"), ("\ud800", "\\ud800"), ("\udfff", "\\udfff"),
    ],
)  # fmt: skip
def test_what_deceives_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_no_control_and_no_format_character_comes_through() -> None:
    for code in range(0x110000):
        character = chr(code)
        category = unicodedata.category(character)
        if category in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            assert printable(character).isascii(), hex(code)


def test_what_was_printed_can_be_encoded() -> None:
    assert printable("\udcff\ud800\U0010ffff é").encode("utf-8")


def test_beyond_the_limit_the_middle_is_counted() -> None:
    assert printable("a" * 400) == "a" * 400
    assert printable("a" * 300 + "b" * 300, 10) == "aaaaa...(590 more)...bbbbb"
    assert printable("abcdefg", 5) == "ab...(3 more)...fg"


def test_the_limit_counts_before_escaping_and_bounds_the_whole() -> None:
    assert len(printable("\x1b" * 100_000)) < 400 * 4 + 40
    assert "\x1b" not in printable("\x1b" * 100_000)


def test_paint_adds_colour_only_when_asked() -> None:
    assert paint("x", "red", False) == "x"
    assert paint("x", "red", True) == "\x1b[31mx\x1b[0m"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_whose_owner_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert wants_colour(Terminal())
    assert not wants_colour(io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not wants_colour(Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_colour(Terminal())


def test_what_is_said_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    say("a line")
    assert capsys.readouterr() == ("", "a line\n")
