"""What it costs to index texts and to search them by words, in CPU time: embedded, without vectors.

``python -m benchmarks.words [texts] [--directory DIR]`` puts 1,000,000 texts of some 320 characters
into an `SqliteTextIndex`, 500 at a time as stores do, and asks it questions of 3 to 12 words: the
first of a process, later ones, and those of a namespace. Words are as frequent as in English, by
Zipf's law: one is in four of five texts, most are in a few. What a directory holds already is only
searched. A search by words in a store reads the vectors of what was found besides. Before all this
it adds as many records to a store with a text index and to one without, a part to each in turn.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
from langchain_core.embeddings import FakeEmbeddings

from langchain_vectorize import VectorizeVectorStore
from vectorize_core import SqliteTextIndex, VectorizeClient
from vectorize_core.texts.fts import TextRow
from vectorize_core.transport.io import Io, run

INDEX = "docs"
TEXTS = 1_000_000
_VOCABULARY = 200_000
_AT_ONCE = 500
_TENANTS = 50
_QUESTIONS = 300
_ASKED_FOR = 20
_DIMENSIONS = 32
_TO_ADD = 20_000


class English:
    """Texts of words that nobody knows, as frequent as those of English."""

    def __init__(self, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        letters = np.array(list("etaoinshrdlucmfw"))
        lengths = random.integers(3, 9, _VOCABULARY)
        self._words = ["".join(random.choice(letters, length)) for length in lengths]
        shares = 1.0 / (np.arange(_VOCABULARY) + 2.7)
        self._up_to = np.cumsum(shares / shares.sum())

    def texts(self, count: int, least: int, most: int, seed: int) -> list[str]:
        """Texts of ``least`` to ``most`` words."""
        random = np.random.default_rng([seed, 7])
        lengths = random.integers(least, most + 1, count)
        drawn = np.searchsorted(self._up_to, random.random(int(lengths.sum())))
        words = [self._words[at] for at in drawn]
        ends = np.cumsum(lengths)
        return [
            " ".join(words[end - length : end])
            for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)
        ]


def batches(english: English, count: int) -> Iterator[list[TextRow]]:
    """Rows in the order in which they are written; some are of tenants, most of one namespace."""
    for start in range(0, count, _AT_ONCE):
        texts = english.texts(min(_AT_ONCE, count - start), 35, 65, start)
        yield [
            TextRow(f"document-{n}", _namespace(n), text, {"year": 1990 + n % 35})
            for n, text in enumerate(texts, start)
        ]


def _namespace(n: int) -> str:
    return f"tenant-{n // 10 % _TENANTS}" if n % 10 == 0 else "all"


def ingest(io: Io, index: SqliteTextIndex, english: English, count: int) -> float:
    """Microseconds a row."""
    spent = 0.0
    for rows in batches(english, count):
        began = time.process_time()
        run(index.put(io, INDEX, rows, f"{spent:.0f}"))
        spent += time.process_time() - began
    return spent / count * 1e6


def added(english: English, count: int, *, given: bool) -> float:
    """Microseconds a record that a store with a text index computes more; with ids ``given``."""
    random, spent = np.random.default_rng(2), {True: 0.0, False: 0.0}
    with ExitStack() as stack:
        stores = {}
        for with_words in spent:
            place = stack.enter_context(tempfile.TemporaryDirectory())
            store = VectorizeVectorStore(
                FakeEmbeddings(size=_DIMENSIONS),
                index_name=INDEX,
                path=place,
                text_index=with_words or None,
            )
            stores[with_words] = stack.enter_context(closing(store))
        for start in range(0, count, _TO_ADD):
            some = min(_TO_ADD, count - start)
            texts = english.texts(some, 35, 65, start)
            vectors = random.standard_normal((some, _DIMENSIONS), dtype=np.float32)
            ids = [f"document-{n}" for n in range(start, start + some)] if given else None
            for with_words, store in stores.items():
                began = time.process_time()
                store.add_embeddings(texts, vectors, ids=ids)
                spent[with_words] += time.process_time() - began
    return (spent[True] - spent[False]) / count * 1e6


def lookups(io: Io, index: SqliteTextIndex, count: int) -> float:
    """Microseconds a record, to learn which rows it has: a write does so of ids that exist."""
    ids = [f"document-{n}" for n in np.random.default_rng(1).integers(0, count, 5_000).tolist()]
    began = time.process_time()
    for start in range(0, len(ids), _AT_ONCE):
        run(index.versions(io, INDEX, ids[start : start + _AT_ONCE]))
    return (time.process_time() - began) / len(ids) * 1e6


def search(
    io: Io, index: SqliteTextIndex, questions: Sequence[str], namespace: str | None = None
) -> list[float]:
    """Milliseconds of each question."""
    spent = []
    for question in questions:
        began = time.process_time()
        run(index.find(io, INDEX, question, namespace=namespace, limit=_ASKED_FOR))
        spent.append((time.process_time() - began) * 1e3)
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", nargs="?", type=int, default=TEXTS)
    parser.add_argument("--directory", type=Path)
    given = parser.parse_args()
    english = English()
    for what, ids_given in (("made", False), ("given", True)):
        more = added(english, given.texts, given=ids_given)
        print(f"a text index adds, with ids that are {what}: {more:.1f} us a record", flush=True)
    with tempfile.TemporaryDirectory() as temporary, VectorizeClient.local() as client:
        directory, io = given.directory or Path(temporary), client.connection.io()
        file = directory / "words.sqlite3"
        is_there = file.exists()
        with_words = SqliteTextIndex(directory)
        if not is_there:
            print(f"put: {ingest(io, with_words, english, given.texts):.1f} us a row")
        print(f"texts: {given.texts:,}; file: {file.stat().st_size / 1e6:,.0f} MB")
        print(f"look up rows: {lookups(io, with_words, given.texts):.1f} us a record")
        with_words.close()
        for what, namespace, known in (
            ("first questions of a process", None, False),
            ("questions", None, True),
            ("in a namespace of 0.2 %", "tenant-7", True),
            ("in a namespace of 90 %", "all", True),
        ):
            index = SqliteTextIndex(directory)
            if known:
                search(io, index, english.texts(_QUESTIONS, 3, 12, TEXTS + 2), namespace)
            spent = search(io, index, english.texts(_QUESTIONS, 3, 12, TEXTS + 1), namespace)
            median, late, most = np.percentile(spent, [50, 95, 100])
            print(f"{what}: p50 {median:.0f} ms, p95 {late:.0f} ms, most {most:.0f} ms")
            index.close()


if __name__ == "__main__":
    main()
