"""Both stores by words and by both on LynseDB; its BM25 against one that is written out."""

from __future__ import annotations

import math
import random
import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from langchain_core.embeddings import Embeddings

from benchmarks.retrieval.figures import Figures, Place
from benchmarks.retrieval.labelled import LabelledSet
from langchain_vectorize import VectorizeVectorStore
from tests.kinds import LANGCHAIN, Kind, both_stores
from tests.lynse.servers import KEY, NEW, Lynse
from tests.nightly import NIGHTLY, sized
from tests.stores import Call, both_ways, sync_call
from vectorize_core import (
    BadRequestError,
    ConfigurationError,
    ConnectionFailedError,
    InvalidInputError,
    RetryPolicy,
    Vector,
)
from vectorize_core.api.by_words import TextQuery
from vectorize_core.lynse import LynseClient
from vectorize_core.transport.io import run

VOCABULARY = [f"w{n}" for n in range(60)] + ["ÄRGER", "Straße", "don't", "a_b", "x1", "日本語"]


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def bm25(texts: Mapping[str, str], query: str) -> dict[str, float]:
    """Scores with the IDF of Lucene, k1 = 1.2 and b = 0.75, of texts that have a word."""
    # A text without a word is none.
    documents = {name: Counter(words(text)) for name, text in texts.items() if words(text)}
    average = sum(found.total() for found in documents.values()) / len(documents)
    scores: dict[str, float] = {}
    for word in words(query):
        having = [name for name, found in documents.items() if found[word]]
        idf = math.log(1 + (len(documents) - len(having) + 0.5) / (len(having) + 0.5))
        for name in having:
            often, length = documents[name][word], documents[name].total()
            part = often * 2.2 / (often + 1.2 * (0.25 + 0.75 * length / average))
            scores[name] = scores.get(name, 0.0) + idf * part
    return scores


def a_text(random_: random.Random, most: int = 12) -> str:
    # Few words are frequent, as in any language.
    weights = [1 / (rank + 1) for rank in range(len(VOCABULARY))]
    return " ".join(random_.choices(VOCABULARY, weights, k=random_.randint(1, most)))


def check(found: Sequence[tuple[str, float]], texts: Mapping[str, str], query: str, k: int) -> None:
    """It is what BM25 finds, but for the order of equal scores."""
    wanted = bm25(texts, query) if texts else {}
    best = sorted(wanted.values(), reverse=True)[:k]
    assert [score for _, score in found] == pytest.approx(best, rel=1e-5)
    assert all(score == pytest.approx(wanted[name], rel=1e-5) for name, score in found)
    assert len({name for name, _ in found}) == len(found)


@both_stores
@pytest.mark.parametrize("seed", range(sized(1, 10)))
async def test_scores_are_those_of_bm25(lynse: LynseClient, kind: Kind, seed: int) -> None:
    random_ = random.Random(seed)
    texts = {f"r{n}": a_text(random_) for n in range(sized(80, 300))}
    parity = {name: at % 2 for at, name in enumerate(texts)}
    store = kind.over(lynse, metadata_indexes={"parity": "number"})
    rows = [(name, text, {"parity": parity[name]}) for name, text in texts.items()]
    await kind.add_rows(sync_call, store, rows)
    for name in random_.sample([*texts], 10):
        texts[name] = a_text(random_)
        await kind.add_rows(sync_call, store, [(name, texts[name], {"parity": parity[name]})])
    gone = random_.sample([*texts], 10)
    await kind.delete(sync_call, store, gone)
    for name in gone:
        del texts[name]
    for _ in range(sized(6, 60)):
        query, k = a_text(random_, 3), random_.choice([1, 5, 20, 200])
        check(await kind.search_by(sync_call, store, "text", query, k), texts, query, k)
        # Of those that a filter matches, and as if there were no others.
        odd = {name: text for name, text in texts.items() if parity[name]}
        only = kind.filter("parity", 1)
        check(await kind.search_by(sync_call, store, "text", query, k, filter=only), odd, query, k)


@both_stores
@both_ways
async def test_modes_find_what_is_there(lynse: LynseClient, kind: Kind, call: Call) -> None:
    store = kind.over(lynse, text_index=True)
    texts = ["a red fox", "a red dog", "the green cat", "nothing of the kind"]
    await kind.add(call, store, *texts)
    found = await kind.search_by(call, store, "text", "RED fox", 5)
    check(found, {text: text for text in texts}, "red fox", 5)
    await kind.delete(call, store, ["a red fox"])
    assert [one for one, _ in await kind.search_by(call, store, "text", "fox", 5)] == []
    both = await kind.search_by(call, store, "hybrid", "green", 2, alpha=0.0)
    assert both[0][0] == "the green cat"
    assert (await kind.search(call, store, "a red dog", 1)) == ["a red dog"]
    view = store.with_namespace("tenant")
    await kind.add(call, view, "green", "red")
    found = await kind.search_by(call, view, "text", "red green dog", 5)
    check(found, {"red": "red", "green": "green"}, "red green dog", 5)


def test_the_property_of_texts_is_that_of_the_index(new_lynse: Lynse, lynse: LynseClient) -> None:
    options: Any = {"index_name": "docs", "create_index": True, "text_key": "body"}
    store = LANGCHAIN.make(client=lynse, **options)
    store.add_texts(["a"])
    with pytest.raises(BadRequestError, match=r"LynseClient\(text_key='body'\)"):
        store.similarity_search("a", retrieval_mode="text")
    database = str(lynse._database)
    with LynseClient(new_lynse.url, database=database, api_key=KEY, text_key="body") as client:
        store = LANGCHAIN.make(client=client, **options | {"index_name": "other"})
        store.add_texts(["a b"])
        (found,) = store.similarity_search("b", retrieval_mode="text")
        assert found.page_content == "a b"


def counted(texts: list[str]) -> tuple[list[list[int]], list[list[float]]]:
    """Of each text how often it has which word, which stands for a number."""
    found = [Counter(words(text)) for text in texts]
    numbers = [[zlib.crc32(word.encode()) for word in one] for one in found]
    return numbers, [[*map(float, one.values())] for one in found]


@both_stores
@both_ways
async def test_sparse_vectors_are_made_and_found(
    new_lynse: Lynse, lynse: LynseClient, kind: Kind, call: Call
) -> None:
    place: Any = {"database": str(lynse._database), "api_key": KEY}
    with LynseClient(new_lynse.url, **place, sparse_embedding=counted) as client:
        store = kind.over(client)
        await kind.add(call, store, "a fox, a red fox", "the fox", "a dog", "...")
        assert await kind.search_by(call, store, "text", "red fox", 5) == [
            ("a fox, a red fox", 3.0),
            ("the fox", 1.0),
        ]
        await kind.add_rows(call, store, [("the fox", "a cat", {})])
        await kind.delete(call, store, ["a dog"])
        found = await kind.search_by(call, store, "text", "cat fox dog", 5)
        assert found == [("a fox, a red fox", 2.0), ("the fox", 1.0)]
        assert await kind.search_by(call, store, "text", "?", 5) == []
        both = await kind.search_by(call, store, "hybrid", "cat", 1, alpha=0.0)
        assert both[0][0] == "the fox"
    with pytest.raises(ConfigurationError, match="found by sparse vectors, since it was created"):
        await kind.search_by(call, kind.over(lynse), "text", "fox", 5)
    with pytest.raises(ConfigurationError, match="use a LynseClient with the same sparse_embedd"):
        await kind.add(call, kind.over(lynse), "more")


NO_SPARSE: Mapping[str, Any] = {
    "none": lambda texts: None,
    "too few": lambda texts: ([[1]], [[1.0]]),
    "too many": lambda texts: ([[1]] * 9, [[1.0]] * 9),
    "no lists": lambda texts: ([None] * len(texts), [None] * len(texts)),
    "no numbers": lambda texts: ([[None]] * len(texts), [[None]] * len(texts)),
    "NaN": lambda texts: ([[1]] * len(texts), [[math.nan]] * len(texts)),
    "an index of NaN": lambda texts: ([[math.nan]] * len(texts), [[1.0]] * len(texts)),
    "a part of an index": lambda texts: ([[1.5]] * len(texts), [[1.0]] * len(texts)),
    "below 0": lambda texts: ([[-1]] * len(texts), [[1.0]] * len(texts)),
    "an index twice": lambda texts: ([[1, 1]] * len(texts), [[1.0, 2.0]] * len(texts)),
    "one that fails": lambda texts: 1 / 0,
}


@both_ways
async def test_without_sparse_vectors_nothing_is_written(
    new_lynse: Lynse, lynse: LynseClient, call: Call
) -> None:
    place: Any = {"database": str(lynse._database), "api_key": KEY}
    with LynseClient(new_lynse.url, **place, sparse_embedding=counted) as client:
        store = LANGCHAIN.over(client)
        await LANGCHAIN.add(call, store, "a")
        for name, embedding in NO_SPARSE.items():
            with LynseClient(new_lynse.url, **place, sparse_embedding=embedding) as other:
                error: Any = ZeroDivisionError if name == "one that fails" else InvalidInputError
                with pytest.raises(error, match=r"sparse_embedding|zero"):
                    await LANGCHAIN.add(call, LANGCHAIN.over(other), "b", "c")
        assert client.index("docs").info().vector_count == 1


class _Failing(httpx.HTTPTransport):
    """Does something in place of, or before, the first request for sparse vectors."""

    def __init__(self, instead: Callable[[], object]) -> None:
        super().__init__()
        self._instead: Callable[[], object] | None = instead

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/add_sparse_vectors" and self._instead is not None:
            instead, self._instead = self._instead, None
            instead()
        return super().handle_request(request)


@pytest.mark.parametrize("fault", ["no connection", "a kill", "the client ends"])
def test_words_come_with_the_insert_that_is_repeated(server: Lynse, fault: str) -> None:
    def instead() -> None:
        if fault == "a kill":
            server.restart()
        raise httpx.ConnectError("reset")

    place: Any = {"database": "app", "api_key": KEY, "sparse_embedding": counted}
    with (
        LynseClient(server.url, **place) as client,
        LynseClient(
            server.url,
            **place,
            transport=_Failing(instead),
            retry=RetryPolicy(write_deadline=0.0) if fault == "the client ends" else None,
        ) as failing,
    ):
        client.database("app").create_database()
        client.indexes().create_index("docs", dimensions=32, metric="cosine")
        given = [Vector("a", np.ones(32, np.float32), metadata={"text": "fox"})]
        if fault == "the client ends":
            with pytest.raises(ConnectionFailedError):
                failing.index("docs").insert(given)
            client.index("docs").insert(given)
        else:
            failing.index("docs").insert(given)
        asked = TextQuery(index="docs", text="fox", text_key="text")
        (found,) = run(client.connection.io().call(asked)).matches
        assert found.id == "a"


class Trigrams(Embeddings):
    """Texts with the same parts of words are near to each other."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        found = np.zeros(256)
        for at in range(len(text) - 2):
            found[zlib.crc32(text[at : at + 3].lower().encode()) % 256] += 1.0
        return (found / (np.linalg.norm(found) or 1.0)).tolist()


@pytest.mark.skipif(not NIGHTLY, reason="a thousand texts, so only at night")
def test_both_together_find_more_than_either(lynse: LynseClient) -> None:
    labelled = LabelledSet.load("verses")
    numbers = {name: f"{number}" for number, name in enumerate(labelled.documents)}
    store = VectorizeVectorStore(Trigrams(), index_name="docs", client=lynse, create_index=True)
    store.add_texts([*labelled.documents.values()], ids=[*numbers.values()])
    gained: dict[str, float] = {}
    for mode in ("dense", "text", "hybrid"):
        options = {"alpha": 0.4} if mode == "hybrid" else {}
        places: list[Place] = []
        for query in labelled.queries:
            found = store.similarity_search(query.text, k=10, retrieval_mode=mode, **options)
            ranked = [document.id for document in found]
            answer = numbers[query.answer]
            places.append(ranked.index(answer) if answer in ranked else None)
        gained[mode] = Figures.of(places).ndcg
    assert gained["hybrid"] > max(gained["dense"], gained["text"]), gained


@pytest.mark.parametrize("embedding", [None, counted], ids=["BM25", "sparse"])
async def test_words_outlast_a_kill(tmp_path: Path, embedding: Any) -> None:
    server = Lynse(NEW, tmp_path)
    (tmp_path / "data").mkdir()
    server.start()
    try:
        with LynseClient(
            server.url, database="app", api_key=KEY, sparse_embedding=embedding
        ) as client:
            client.database("app").create_database()
            store = LANGCHAIN.over(client)
            await LANGCHAIN.add(sync_call, store, *(f"w{n} of all" for n in range(30)))
            await LANGCHAIN.add_rows(sync_call, store, [("w1 of all", "changed", {})])
            await LANGCHAIN.delete(sync_call, store, ["w2 of all"])
            asked = ("w1", "w2", "w3 changed", "changed all")
            before = [
                sorted(await LANGCHAIN.search_by(sync_call, store, "text", one, 40))
                for one in asked
            ]
            server.restart()
            for one, wanted in zip(asked, before, strict=True):
                found = sorted(await LANGCHAIN.search_by(sync_call, store, "text", one, 40))
                assert [name for name, _ in found] == [name for name, _ in wanted]
                assert [score for _, score in found] == pytest.approx([s for _, s in wanted])
    finally:
        server.kill()
