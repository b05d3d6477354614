"""The stem of an English word, as FTS5's tokenizer "porter" makes it. Pure.

M. F. Porter, An algorithm for suffix stripping, 1980. SQLite does the work when it indexes and
searches; this is only to look up how frequent a word is.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

_LONGEST, _SHORTEST = 64, 3


def _endings(table: str) -> dict[str, str]:
    return dict(pair.split(">") for pair in table.split())


_STEP_2: Final = _endings(
    "ational>ate tional>tion enci>ence anci>ance izer>ize logi>log bli>ble alli>al entli>ent "
    "eli>e ousli>ous ization>ize ation>ate ator>ate alism>al iveness>ive fulness>ful ousness>ous "
    "aliti>al iviti>ive biliti>ble"
)
_STEP_3: Final = _endings("ical>ic ness> icate>ic iciti>ic ful> ative> alize>al")
_STEP_4: Final = _endings(
    "al> ance> ence> er> ic> able> ible> ant> ement> ment> ent> ion> ou> ism> ate> iti> ous> ive> "
    "ize>"
)


def stem(word: str) -> str:
    """The stem of a word in lower case."""
    # SQLite counts bytes.
    letters = word.encode().decode("latin-1")
    if not _SHORTEST <= len(letters) <= _LONGEST:
        return word
    for step in (_step_1a, _step_1b, _step_1c):
        letters = step(letters)
    letters = _replaced(letters, _STEP_2, 1)
    letters = _replaced(letters, _STEP_3, 1)
    letters = _replaced(letters, _STEP_4, 2)
    return _step_5(letters).encode("latin-1").decode(errors="replace")


def _step_1a(word: str) -> str:
    if word.endswith("s") and not word.endswith("ss"):
        longer = len(word) > 4 and word.endswith("sses"), len(word) > 3 and word.endswith("ies")
        return word[:-2] if any(longer) else word[:-1]
    return word


def _step_1b(word: str) -> str:
    if len(word) > 3 and word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) else word
    for ending in ("ed", "ing"):
        rest = word.removesuffix(ending)
        if rest not in ("", word) and _has_vowel(rest):
            return _mended(rest)
    return word


def _mended(rest: str) -> str:
    """What is left without ``ed`` or ``ing``, as a word."""
    if len(rest) > 2 and rest.endswith(("at", "bl", "iz")):
        return f"{rest}e"
    if rest[-1] not in "aeioulsz" and rest[-1:] == rest[-2:-1]:
        return rest[:-1]
    return f"{rest}e" if _measure(rest) == 1 and _ends_short(rest) else rest


def _step_1c(word: str) -> str:
    return f"{word[:-1]}i" if word.endswith("y") and _has_vowel(word[:-1]) else word


def _replaced(word: str, endings: Mapping[str, str], least: int) -> str:
    """``word`` with its longest of these endings replaced, if what is before it measures enough."""
    for length in range(min(7, len(word) - 1), 1, -1):
        rest, ending = word[:-length], word[-length:]
        if ending in endings:
            fits = ending != "ion" or rest.endswith(("s", "t"))
            return rest + endings[ending] if fits and _measure(rest) >= least else word
    return word


def _step_5(word: str) -> str:
    if word.endswith("e"):
        measure = _measure(word[:-1])
        if measure > 1 or (measure == 1 and not _ends_short(word[:-1])):
            word = word[:-1]
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word


def _consonants(word: str) -> list[bool]:
    found: list[bool] = []
    for letter in word:
        vowel = letter in "aeiou" or (letter == "y" and bool(found) and found[-1])
        found.append(not vowel)
    return found


def _measure(word: str) -> int:
    """How often a consonant follows a vowel."""
    consonants = _consonants(word)
    return sum(later and not one for one, later in pairwise(consonants))


def _has_vowel(word: str) -> bool:
    return any(letter in "aeiou" or (letter == "y" and at > 0) for at, letter in enumerate(word))


def _ends_short(word: str) -> bool:
    return word[-1:] not in ("w", "x", "y") and _consonants(word)[-3:] == [True, False, True]
