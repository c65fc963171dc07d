"""Escaping by itself: every function on every kind of dangerous character."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.exports import escaping
from tests.exports.reports import HOSTILE

ANY = st.text(st.characters(codec=None))


@given(ANY)
def test_nothing_that_a_terminal_obeys_is_left(text: str):
    for character in escaping.visible(text):
        assert character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs", "Cn")


def test_colours_are_dropped_and_the_rest_is_shown():
    assert escaping.visible("\x1b[1;31mred\x1b[0m\r\n\x1b]8;;http://x\x07link") == "red\nlink"
    assert escaping.visible("a\x1bcb\x07\x9b\u202e\ud800") == "a\\x1bcb\\x07\\x9b\\u202e\\ud800"
    assert escaping.visible("触发器 ✓ é \t") == "触发器 ✓ é \t"


@given(ANY)
def test_no_line_of_a_log_is_a_command(text: str):
    for line in escaping.log_safe(text + "::" + text + "##[").splitlines():
        assert not line.strip().startswith("::")
        assert "##[" not in line


@given(st.text("`a\n", max_size=60))
def test_a_fence_is_longer_than_anything_inside(text: str):
    first, *body, last = escaping.fenced(text).split("\n")
    fence = first.removesuffix("text")
    assert fence == last
    assert set(fence) == {"`"}
    assert all(fence not in line for line in body)


@given(ANY)
def test_markdown_has_no_markup_and_one_line(text: str):
    shown = escaping.markdown(text)
    assert not set(shown) & set("\n\r\\`*_[]<>|!~@")
    assert shown.count("&") == shown.count("&#")


@given(ANY)
def test_command_parts_have_no_separators(text: str):
    assert not set(escaping.command_property(text)) & set("\r\n:,")
    assert not set(escaping.command_data(text)) & set("\r\n")


def test_percent_signs_survive_a_command():
    assert escaping.command_data("100 %0A") == "100 %250A"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "＝", "＋", "－", "＠"])
def test_formulas_get_an_apostrophe(start: str):
    assert escaping.csv_text(f"{start}1") == f"'{start}1"
    assert escaping.csv_text(f"  \t{start}1") == f"'{start}1"


def test_long_text_is_cut_with_a_mark():
    assert escaping.one_line("x" * 1000, 10) == "x" * 9 + "…"
    assert len(escaping.fenced("x" * 10**6)) < 6000


def test_the_hostile_sample_is_hostile():
    for part in ("\x1b", "\x00", "<script>", "]]>", "::error", "##[", "\u202e", "`", "|", "\n="):
        assert part in HOSTILE
