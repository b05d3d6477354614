"""Both places side by side: indexes on a LynseDB server, and embedded ones. Wall-clock time.

``python -m benchmarks.lynse URL [records]`` writes 100,000 records of 384 values, a text and two
properties to either, and searches them; LYNSE_API_KEY is the key of the server. The two take turns,
since what else the machine does is in the figures.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from langchain_core.embeddings import FakeEmbeddings

from benchmarks.words import English
from langchain_vectorize import VectorizeVectorStore
from vectorize_core.lynse import LynseClient

RECORDS = 100_000
_DIMENSIONS = 384
_AT_ONCE = 5_000
_QUESTIONS = 100
_SINGLE = 20


def written(store: VectorizeVectorStore, texts: list[str], vectors: Any, start: int) -> float:
    """Seconds that it takes to write records."""
    ids = [f"r{n}" for n in range(start, start + len(texts))]
    metadatas = [{"tenth": n % 10, "hundredth": n % 100} for n in range(start, start + len(texts))]
    began = time.perf_counter()
    store.add_embeddings(texts, vectors, metadatas, ids=ids)
    return time.perf_counter() - began


def searched(call: Callable[[int], object], times: int = _QUESTIONS) -> str:
    """Milliseconds of a call: p50 and p95."""
    spent = []
    for at in range(times):
        began = time.perf_counter()
        call(at)
        spent.append((time.perf_counter() - began) * 1e3)
    median, late = np.percentile(spent, [50, 95])
    return f"{median:.1f} / {late:.1f} ms"


def resident(url: str) -> float:
    """MiB that the server holds."""
    key = os.environ.get("LYNSE_API_KEY", "")
    asked = urllib.request.Request(f"{url}/metrics", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(asked) as answer:
        text = answer.read().decode()
    found = re.search(r"^lynsedb_process_resident_memory_bytes\S* (\S+)", text, re.MULTILINE)
    return float(found[1]) / 2**20 if found else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("records", nargs="?", type=int, default=RECORDS)
    given = parser.parse_args()
    english, random = English(), np.random.default_rng(0)
    embeddings, database = FakeEmbeddings(size=_DIMENSIONS), f"b{uuid4().hex}"
    indexes: Any = {"tenth": "number", "hundredth": "number"}
    with (
        tempfile.TemporaryDirectory() as folder,
        LynseClient(given.url, database=database) as client,
    ):
        client.database(database).create_database()
        place: Any = {"index_name": "docs", "metadata_indexes": indexes}
        stores = {
            "embedded": VectorizeVectorStore(
                embeddings, path=Path(folder) / "data", text_index=True, **place
            ),
            "LynseDB": VectorizeVectorStore(embeddings, client=client, create_index=True, **place),
        }
        spent = dict.fromkeys(stores, 0.0)
        for start in range(0, given.records, _AT_ONCE):
            some = min(_AT_ONCE, given.records - start)
            texts = english.texts(some, 8, 14, start)
            vectors = random.standard_normal((some, _DIMENSIONS), dtype=np.float32)
            for name, store in stores.items():
                spent[name] += written(store, texts, vectors, start)
        queries = random.standard_normal((_QUESTIONS, _DIMENSIONS)).tolist()
        questions = english.texts(_QUESTIONS, 3, 8, given.records + 1)
        singles = english.texts(_SINGLE, 8, 14, given.records + 2)
        for name, store in stores.items():

            def near(at: int, store: VectorizeVectorStore = store, **options: Any) -> object:
                return store.similarity_search_by_vector(queries[at], k=10, **options)

            def filtered(at: int, store: VectorizeVectorStore = store) -> object:
                return near(at, store, filter={"hundredth": at})

            def by_words(at: int, store: VectorizeVectorStore = store) -> object:
                return store.similarity_search(questions[at], k=10, retrieval_mode="text")

            def single(at: int, store: VectorizeVectorStore = store) -> object:
                return store.add_embeddings([singles[at]], [queries[at]], ids=[f"r{at}"])

            print(f"{name}: {given.records:,} records, {given.records / spent[name]:,.0f} a second")
            print(f"  k=10: {searched(near)}; of 1 %: {searched(filtered)}")
            print(f"  by words: {searched(by_words)}; one written: {searched(single, _SINGLE)}")
            if name == "LynseDB":
                print(f"  resident: {resident(given.url):,.0f} MiB")
        client.database(database).drop_database()


if __name__ == "__main__":
    main()
