"""The note in an index's description."""

from __future__ import annotations

import pytest

from vectorize_core import layout


@pytest.mark.parametrize(
    "properties",
    [(), ("year",), ("year", "_vs_own"), ("a,b", "c]d", "é", "per cent%", "nested.key")],
)
@pytest.mark.parametrize("description", ["", "My docs", "My [docs] "])
def test_the_note_in_a_description_names_the_indexed_properties(
    description: str, properties: tuple[str, ...]
) -> None:
    noted = layout.note(description, properties)
    assert noted.startswith(description)
    assert layout.read_note(noted).properties == frozenset(properties)
    assert layout.read_note(description).properties == frozenset()
    with_words = layout.note(description, properties, text_index=True)
    assert layout.unnoted(noted) == layout.unnoted(with_words) == description.strip()


def test_of_two_notes_the_last_counts() -> None:
    copied = layout.note("docs", ["year"])
    assert layout.read_note(layout.note(copied, ["author"])).properties == {"author"}
