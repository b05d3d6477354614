"""The note at the end of an index's description: what every record in the index has.

Frozen, as `record` is. A description is never changed, so what it says holds for all vectors.
"""

import re
from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote

from vectorize_core.layout.record import VERSION

_WORDS_NOTE = "[vectorize-stores text-index]"
_NOTE = re.compile(r"\[vectorize-stores layout=(\d+) indexes=([^\]]*)\]\Z")


def note(description: str, properties: Collection[str], *, text_index: bool = False) -> str:
    """``description`` with a note of the layout, and of what `Note` has."""
    names = ",".join(quote(name, safe="") for name in sorted(properties))
    said = f"[vectorize-stores layout={VERSION} indexes={names}]"
    # Of its own, before the other: earlier versions read only that, at the end.
    parts = [description, _WORDS_NOTE if text_index else "", said]
    return " ".join(filter(None, parts))


def noted_anew(description: str, properties: Collection[str]) -> str:
    """A description whose note, if it has one, names these properties."""
    before, noted = _NOTE.subn("", description)
    return note(before.rstrip(), properties) if noted else description


def unnoted(description: str) -> str:
    """A description without what `note` has added to it."""
    return _NOTE.sub("", description).replace(_WORDS_NOTE, "").strip()


class Note(NamedTuple):
    """What a note says.

    ``properties`` were indexed before the first vector. ``text_index``: the texts of all records
    are to be found by their words.
    """

    properties: frozenset[str]
    text_index: bool


# Every search and write asks.
@lru_cache(maxsize=64)
def read_note(description: str) -> Note:
    """The note in a description; an empty one if it has none."""
    found = _NOTE.search(description)
    names = found.group(2).split(",") if found else ()
    return Note(frozenset(map(unquote, names)) - {""}, _WORDS_NOTE in description)
