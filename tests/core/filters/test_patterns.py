"""The patterns of $like, against the plainest matcher there is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.filters import PATTERNS
from vectorize_core.filters.patterns import escape, is_pattern, matcher

WORDS = st.text("aAbB%_\\ß\n.(", max_size=8)


def plainly(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(plainly(pattern[1:], text[i:]) for i in range(len(text) + 1))
    if pattern[0] == "_":
        return bool(text) and plainly(pattern[1:], text[1:])
    literal, rest = (pattern[1], pattern[2:]) if pattern[0] == "\\" else (pattern[0], pattern[1:])
    return text[:1] == literal and plainly(rest, text[1:])


@given(PATTERNS, WORDS)
def test_a_pattern_matches_what_it_says(pattern: str, text: str) -> None:
    assert is_pattern(pattern)
    assert matcher(pattern)(text) is plainly(pattern, text)
    assert matcher(pattern, lower=True)(text) is plainly(pattern.lower(), text.lower())


@given(WORDS, WORDS)
def test_an_escaped_text_matches_itself_alone(text: str, other: str) -> None:
    assert matcher(escape(text))(text)
    assert matcher(escape(text))(other) is (text == other)
    assert matcher(f"%{escape(text)}%")(other) is (text in other)


def test_a_backslash_at_the_end_is_no_pattern() -> None:
    assert not is_pattern("a\\")
    assert is_pattern("a\\\\")


def test_a_pattern_of_many_wildcards_is_not_slow() -> None:
    """With one regular expression for all of it, this takes longer than the universe has."""
    assert not matcher("%a" * 40 + "%b")("a" * 3000)
