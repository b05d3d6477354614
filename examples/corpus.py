"""Eleven State of the Union addresses as passages with metadata; see data/README.md."""

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_DATA = Path(__file__).parent / "data" / "state_of_the_union.jsonl"
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'])")


@dataclass(frozen=True)
class Passage:
    """A few consecutive sentences of one address."""

    id: str
    text: str
    metadata: dict[str, Any]


def sentences(text: str) -> list[str]:
    """The sentences of ``text``, nearly always."""
    return _SENTENCE_END.split(text)


@cache
def passages(size: int = 900) -> list[Passage]:
    """All addresses, cut between sentences into passages of about ``size`` characters.

    Ids are made of year, speaker and position: adding the corpus again replaces it.
    """
    found = []
    for line in _DATA.read_text(encoding="utf-8").splitlines():
        address = json.loads(line)
        text = address.pop("text")
        speaker = address["president"].split()[-1].lower()
        for number, part in enumerate(_parts(sentences(text), size)):
            found.append(Passage(f"{address['year']}-{speaker}-{number:03}", part, address))
    return found


def _parts(pieces: list[str], size: int) -> list[str]:
    parts = [""]
    for piece in pieces:
        if parts[-1] and len(parts[-1]) + len(piece) > size:
            parts.append("")
        parts[-1] = f"{parts[-1]} {piece}".strip()
    return parts
