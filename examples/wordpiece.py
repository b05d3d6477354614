"""BERT's uncased WordPiece tokenizer in plain Python, so that the demo needs no compiled one.

Its ids are those of the `tokenizers` library. The two may cut differently around some characters
that Unicode added or reclassified after version 8, none of which is in the vocabulary.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path

VOCABULARY = Path(__file__).parent / "data" / "vocab.txt"

_LONGEST_WORD = 100  # characters; BERT gives up on longer words
_IDEOGRAPHS = (
    range(0x3400, 0x4DC0),
    range(0x4E00, 0xA000),
    range(0xF900, 0xFB00),
    range(0x20000, 0x2A6E0),
    range(0x2A700, 0x2B820),
    range(0x2B920, 0x2CEB0),  # starts 256 late, as it does in the `tokenizers` library
    range(0x2F800, 0x2FA20),
)
_SPECIAL = re.compile(r"(\[(?:PAD|UNK|CLS|SEP|MASK)\])")


class _Characters(dict[int, str]):
    """What each code point becomes before words are cut at spaces; filled as characters are met.

    Decomposing character by character skips the canonical reordering of combining marks. That is
    safe here: the non-spacing ones are dropped, and no other one is in the vocabulary.
    """

    def __missing__(self, code: int) -> str:
        self[code] = normal = _normal(chr(code))
        return normal


def _normal(char: str) -> str:
    if char in "\t\n\r":
        return " "
    if char == "\ufffd" or unicodedata.category(char) in {"Cc", "Cf", "Co", "Cs"}:
        return ""
    if char.isspace():
        return " "
    decomposed = unicodedata.normalize("NFD", char)
    # Lower-casing single characters is what BERT does: str.lower would turn a last sigma into ς.
    letters = (c.lower() for c in decomposed if unicodedata.category(c) != "Mn")
    if any(ord(char) in block for block in _IDEOGRAPHS):
        return f" {''.join(letters)} "
    return "".join(f" {c} " if _is_punctuation(c) else c for c in chain.from_iterable(letters))


def _is_punctuation(char: str) -> bool:
    # BERT counts every ASCII symbol ($, +, ~ ...), Unicode does not.
    ascii_symbol = "!" <= char <= "~" and not char.isalnum()
    return ascii_symbol or unicodedata.category(char).startswith("P")


class WordPiece:
    """Turns text into the ids of the uncased BERT models, `[CLS]` first and `[SEP]` last.

    `max_tokens` counts those two: 256 is what all-MiniLM-L6-v2 was trained to see, and what lies
    beyond is cut off.
    """

    def __init__(self, vocabulary: Path = VOCABULARY, *, max_tokens: int = 256) -> None:
        tokens = vocabulary.read_text(encoding="utf-8").split("\n")
        self._ids = {token: i for i, token in enumerate(tokens) if token}
        self._longest = max(map(len, self._ids))
        self._max_tokens = max_tokens
        self._characters = _Characters()
        self._pieces = lru_cache(maxsize=1 << 16)(self._split)

    def __call__(self, text: str) -> list[int]:
        """The ids of `text`, at least two and at most `max_tokens`."""
        pieces = chain.from_iterable(map(self._pieces, self._words(text)))
        return [self._ids["[CLS]"], *islice(pieces, self._max_tokens - 2), self._ids["[SEP]"]]

    def _words(self, text: str) -> Iterator[str]:
        for i, part in enumerate(_SPECIAL.split(text)):
            if i % 2:
                yield part
            else:
                yield from part.translate(self._characters).split()

    def _split(self, word: str) -> tuple[int, ...]:
        if _SPECIAL.fullmatch(word):
            return (self._ids[word],)
        unknown = (self._ids["[UNK]"],)
        if len(word) > _LONGEST_WORD:
            return unknown
        ids: list[int] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(min(len(word), start + self._longest), start, -1):
                if (found := self._ids.get(prefix + word[start:end])) is not None:
                    break
            else:
                return unknown
            ids.append(found)
            start = end
        return tuple(ids)
