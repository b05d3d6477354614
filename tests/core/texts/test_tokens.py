"""Any string is a safe question, whose words are counted as SQLite has them in its index."""

from __future__ import annotations

import random
import re
import sqlite3
import sys
from contextlib import closing

import pytest

from tests.nightly import sized
from vectorize_core import VectorizeClient
from vectorize_core.texts import SqliteTextIndex
from vectorize_core.texts.fts import TextRow, creation, digest_of
from vectorize_core.texts.porter import stem
from vectorize_core.texts.tokens import (
    MOST_WORDS,
    SEPARATOR,
    TOKENIZERS,
    Tokenizer,
    plain,
    prepared,
    question,
)
from vectorize_core.transport.io import run

ODD = [
    *(
        '"',
        "'",
        "''",
        '""',
        "*",
        "^",
        "(",
        ")",
        "{",
        "}",
        ":",
        "-",
        "+",
        ",",
        ";",
        "\0",
        "\x1f",
        "\x7f",
        "\\",
    ),
    *("AND", "OR", "NOT", "NEAR", "NEAR(a b, 2)", "text:", "ns:", "key:", "--", "/*", "%", "?1"),
    *(
        "\ud800",
        "\U0001f600",
        "\U0001f914",
        "é",
        "e\u0301",
        "ß",
        "İ",
        "ς",
        "東京",
        "한국",
        "ไทย",
        "ℵ",
    ),
    *(
        "a",
        "os.path.join",
        "don't",
        "x" * 300,
        " ",
        "\n",
        "\u2028",
        "\ufeff",
        "\ufffe",
        "DROP TABLE",
    ),
]


def odd(source: random.Random) -> str:
    parts = source.choices(ODD, k=source.randint(0, 8))
    if source.random() < 0.5:
        parts.append(chr(source.choice([source.randrange(0x110000), source.randrange(0x3000)])))
    return source.choice(["", " "]).join(parts)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_any_string_is_a_question_that_finds_nothing_of_others(tokenizer: Tokenizer) -> None:
    source = random.Random(tokenizer)
    index = SqliteTextIndex(tokenizer=tokenizer)
    with VectorizeClient.local() as client:
        io = client.connection.io()
        texts = [odd(source) for _ in range(100)]
        rows = [TextRow(f"{n}", f"t{n % 2}", text, {}) for n, text in enumerate(texts)]
        run(index.put(io, "docs", rows, "w"))
        answered = 0
        for n in range(sized(200, 10_000)):
            query = odd(source) if n else "word. " * 20_000
            hits = run(index.find(io, "docs", query, namespace="t0", limit=5))
            assert all(int(hit.id) % 2 == 0 for hit in hits), query
            answered += bool(hits)
        assert answered > 20


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_each_text_is_found_by_each_of_its_words(tokenizer: Tokenizer) -> None:
    source = random.Random(3)
    index = SqliteTextIndex(tokenizer=tokenizer)
    with VectorizeClient.local() as client:
        io = client.connection.io()
        texts = ["".join(source.choices(ODD, k=6)) for _ in range(60)]
        rows = [TextRow(f"{n}", None, text, {}) for n, text in enumerate(texts)]
        run(index.put(io, "docs", rows, "w"))
        for n, text in enumerate(texts):
            for asked in question(text, tokenizer):
                found = {hit.id for hit in run(index.find(io, "docs", asked.word, limit=60))}
                assert f"{n}" in found, asked
            assert digest_of(prepared(text, tokenizer)) == digest_of(text)
            assert plain(prepared(text, tokenizer)) == plain(text)


def tokens_of_sqlite(words: list[str], tokenizer: Tokenizer) -> list[list[str]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in creation("t", "docs", tokenizer):
            connection.execute(*statement)
        connection.execute("CREATE VIRTUAL TABLE terms USING fts5vocab(t, instance)")
        connection.executemany("INSERT INTO t (rowid, text) VALUES (?, ?)", enumerate(words))
        found: list[list[str]] = [[] for _ in words]
        for term, at in connection.execute("SELECT term, doc FROM terms ORDER BY doc, offset"):
            found[at].append(term)
        return found


def test_each_letter_is_counted_as_it_stands_in_the_index() -> None:
    letters = [
        chr(n)
        for n in range(sized(0x3000, sys.maxunicode))
        if chr(n).isalnum() and question(chr(n))
    ]
    made = tokens_of_sqlite([f"a{letter}b" for letter in letters], "unicode61")
    wrong = [
        letter
        for letter, tokens in zip(letters, made, strict=True)
        if not prepared(f"a{letter}b").count(SEPARATOR)
        and len(tokens) == 1
        and tokens[0] not in question(f"a{letter}b")[0].tokens[0]
    ]
    # Letters of which SQLite's tables, of an older Unicode, do not know the lower case.
    assert len(wrong) < 400
    assert not [letter for letter in wrong if letter < "\u0530"]


def test_words_are_cut_to_the_stems_that_sqlite_makes() -> None:
    source, endings = random.Random(5), "eed ing ies sses tional ization fully ion iveness ize y ll"
    words = {
        "".join(source.choices("aeiouybstlzwx", k=source.randint(1, 6)))
        + source.choice(endings.split())
        + source.choice(["", "s", "ed", "ly", "ness", "al"])
        for _ in range(5_000)
    }
    words |= set(re.findall("[a-z]{2,}", str(sys.modules[__name__].__doc__)))
    listed = sorted(words)
    assert tokens_of_sqlite(listed, "porter") == [[stem(word)] for word in listed]


def test_a_word_of_several_tokens_is_asked_for_by_each_and_as_a_phrase() -> None:
    assert [asked.phrase for asked in question("What is os.path.join?")] == [
        *('"What"', '"is"', '"os"', '"path"', '"join"', '"os path join"'),
    ]
    assert [asked.word for asked in question("東京都 a 京")] == ["東 京", "京 都", "a", "京"]
    assert [asked.word for asked in question('say "x.y" xyz', "trigram")] == ["say", "x.y", "xyz"]
    assert question("?!  ") == question("") == question("ab", "trigram") == []
    assert len(question(" ".join(map(str, range(1_000))))) == MOST_WORDS
