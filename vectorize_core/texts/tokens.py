"""Texts as FTS5 indexes them, and questions as it can answer them. Pure.

No string is an error, and none has an operator of FTS5: each word stands in quotes, and has nothing
in it but letters, digits and marks (with the tokenizer "trigram", its quotes are doubled).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

from vectorize_core.texts import porter

Tokenizer: TypeAlias = Literal["unicode61", "porter", "trigram"]
TOKENIZERS: Final = ("unicode61", "porter", "trigram")

MOST_WORDS: Final = 100
"""Of a question; the first ones."""
_MOST_CHARACTERS: Final = 20_000
_MOST_IN_PHRASE: Final = 16
SEPARATOR: Final = "\x7f"
"""Stands between characters that are words by themselves; no text that people write has it, and
JSON has it in one byte."""
_ALONE: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # Hiragana, Katakana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\uac00-\ud7a3"  # Hangul
)
"""Characters of scripts that have no spaces, or that put endings to words."""
_IS_ALONE: Final = re.compile(rf"[{_ALONE}]")
_APART: Final = rf"(?:[{_ALONE}]|[^\w\0-\uffff])"
"""These, and signs such as emoji: those newer than its tables are letters to SQLite."""
_IS_APART: Final = re.compile(_APART)
_BETWEEN: Final = re.compile(rf"(?<=\S)(?={_APART})|(?<={_APART})(?=\S)")
_TOKEN: Final = re.compile(rf"[{_ALONE}]|(?:(?![{_ALONE}])[^\W_][\u0300-\u0331]*)+")
"""What unicode61 takes for one, once `prepared`."""
_UNSPEAKABLE: Final = re.compile(r"[\0\ud800-\udfff]")
_AROUND: Final = re.compile(r"^\W+|\W+$")
_TRIGRAM: Final = 3
_MOST_TRIGRAMS: Final = 8


class Asked(NamedTuple):
    """A word of a question: how it is asked for, and how its tokens stand in the index.

    A token may stand there in one of several spellings; it is as frequent as all together.
    """

    word: str
    phrase: str
    tokens: tuple[tuple[str, ...], ...]


def prepared(text: str, tokenizer: Tokenizer = "unicode61") -> str:
    """A text as it is put into the index; `plain` undoes what is done here."""
    if text.isascii():
        return text.replace("\0", SEPARATOR)
    text = _UNSPEAKABLE.sub(SEPARATOR, text)
    if tokenizer == "trigram" or _IS_APART.search(text) is None:
        return text
    return _BETWEEN.sub(SEPARATOR, text)


def plain(text: str) -> str:
    """What is the same of a text and of it `prepared`."""
    if text.isascii():
        return text.replace("\0", "").replace(SEPARATOR, "")
    return _UNSPEAKABLE.sub("", text).replace(SEPARATOR, "")


def question(query: str, tokenizer: Tokenizer = "unicode61") -> list[Asked]:
    """The words of a question, each once; none where there are none to ask for."""
    words = _trigrams if tokenizer == "trigram" else _words
    found: dict[str, Asked] = {}
    for chunk in _UNSPEAKABLE.sub(" ", query[:_MOST_CHARACTERS]).split():
        for asked in words(chunk, tokenizer):
            found.setdefault(asked.phrase.lower(), asked)
            if len(found) == MOST_WORDS:
                return list(found.values())
    return list(found.values())


def _words(chunk: str, tokenizer: Tokenizer) -> Iterator[Asked]:
    """Each token, those of scripts without spaces in pairs, and all in a row: ``os.path.join``."""
    tokens = _TOKEN.findall(chunk)
    alone = [_IS_ALONE.match(token) is not None for token in tokens]
    for at, token in enumerate(tokens):
        if not alone[at]:
            yield _asked([token], tokenizer)
        elif at + 1 < len(tokens) and alone[at + 1]:
            yield _asked(tokens[at : at + 2], tokenizer)
        elif at == 0 or not alone[at - 1]:
            yield _asked([token], tokenizer)
    if 1 < len(tokens) <= _MOST_IN_PHRASE and not any(alone):
        yield _asked(tokens, tokenizer)


def _asked(tokens: list[str], tokenizer: Tokenizer) -> Asked:
    word = " ".join(tokens)
    return Asked(word, f'"{word}"', tuple(_spellings(token, tokenizer) for token in tokens))


def _spellings(token: str, tokenizer: Tokenizer) -> tuple[str, ...]:
    """How a token may stand in the index: SQLite knows case and marks of most letters only."""
    folded = token.lower() if token.isascii() else "".join(map(_folded, token))
    bare = "".join(c for c in unicodedata.normalize("NFD", folded) if not unicodedata.combining(c))
    spellings = dict.fromkeys((folded,) if token.isascii() else (folded, bare, token))
    if tokenizer == "porter":
        spellings = dict.fromkeys(map(porter.stem, spellings))
    return tuple(spellings)


def _folded(character: str) -> str:
    folded = character.casefold()
    return folded if len(folded) == 1 else character.lower()


def _trigrams(chunk: str, _: Tokenizer) -> Iterator[Asked]:
    """A part of a text, wherever it stands in one; too short to be found below three characters."""
    word = _AROUND.sub("", chunk)
    if len(word) < _TRIGRAM:
        return
    quoted = word.replace('"', '""')
    starts = range(min(len(word) - _TRIGRAM + 1, _MOST_TRIGRAMS))
    tokens = ["".join(map(_folded, word[at : at + _TRIGRAM])) for at in starts]
    yield Asked(word, f'"{quoted}"', tuple((token,) for token in tokens))
