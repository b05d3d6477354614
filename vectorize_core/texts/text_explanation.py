"""Which words of a question a text index ranks by, in words. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vectorize_core.texts.fts import POSTINGS
from vectorize_core.texts.tokens import Asked


@dataclass(frozen=True, slots=True)
class TextExplanation:
    """Which words of a question records have; ``str`` of it is the ``text``.

    ``records`` are all words, each with how many records have it: of several in a row, such as
    ``os path join``, at most so many. ``dropped`` are those that are too frequent to rank by.
    """

    query: str
    records: Mapping[str, int]
    dropped: tuple[str, ...]
    text: str = field(repr=False)

    def __str__(self) -> str:
        return self.text


def explanation(
    query: str, words: Sequence[Asked], counted: Sequence[tuple[int, int]]
) -> TextExplanation:
    """The explanation of a question; ``counted``: how many have each word, and if it is kept."""
    pairs = counted or [(0, 1)] * len(words)
    records = {word.word: n for word, (n, _) in zip(words, pairs, strict=True)}
    dropped = tuple(word.word for word, (_, kept) in zip(words, pairs, strict=True) if not kept)
    found = [(n, word) for word, n in records.items() if n and word not in dropped]
    lines = [
        *(f"{word!r}: in {n} records" for n, word in sorted(found)),
        *(f"{word!r}: in no record" for word, n in records.items() if not n),
        *(
            f"{word!r}: dropped, for {records[word]} records have it; the words that are ranked by "
            f"have {POSTINGS} together, at most, unless it is only one"
            for word in dropped
        ),
    ]
    text = "\n".join(lines or ["It has no word, so nothing is found."])
    return TextExplanation(query, records, dropped, text)
