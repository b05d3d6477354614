"""Searching: as many as asked for, in the exact order, by every method and both variants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore

from langchain_vectorize import VectorizeVectorStore
from langchain_vectorize.relevance import relevance_by
from tests.stores import (
    METRICS,
    Call,
    Embedder,
    Make,
    Recorder,
    both_ways,
    ranking,
    raw_scores,
    recorded,
    sync_call,
    vector,
)
from vectorize_core import (
    IndexNotFoundError,
    InvalidFilterError,
    InvalidInputError,
    UnindexedPropertyError,
    VectorizeClient,
)
from vectorize_core.api.operations import Query
from vectorize_core.models import Metric

pytestmark = pytest.mark.covering(2)

COUNT = 120
TEXTS = [f"text {i}" for i in range(COUNT)]
ROWS = [vector(text) for text in TEXTS]
METADATAS = [
    {"year": 1950 + i, "kind": "even" if i % 2 == 0 else "odd", "nested": {"i": [i, None]}}
    for i in range(COUNT)
]
INDEXES = {"year": "number", "kind": "string"}
SEARCHES = (
    "similarity_search",
    "similarity_search_with_score",
    "similarity_search_with_relevance_scores",
    "similarity_search_by_vector",
    "similarity_search_with_score_by_vector",
    "max_marginal_relevance_search",
    "max_marginal_relevance_search_by_vector",
)
every_search = pytest.mark.parametrize("method", SEARCHES)
every_metric = pytest.mark.parametrize("metric", METRICS)


@pytest.fixture(scope="module")
def filled() -> Iterator[Callable[[Metric], VectorizeVectorStore]]:
    """Stores that hold `TEXTS`, one for each metric; no test may change them."""
    with VectorizeClient.local() as client:
        stores = {
            metric: VectorizeVectorStore(
                Embedder(),
                index_name=metric,
                client=client,
                create_index=True,
                metric=metric,
                metadata_indexes=INDEXES,
            )
            for metric in METRICS
        }
        for store in stores.values():
            store.add_texts(TEXTS, METADATAS, ids=list(map(str, range(COUNT))))
        yield stores.__getitem__


async def search(
    call: Call, store: VectorStore, method: str, query: str = "query", **options: Any
) -> list[Document]:
    """The documents of any search."""
    found = await call(
        store, method, vector(query) if method.endswith("by_vector") else query, **options
    )
    return [hit if isinstance(hit, Document) else hit[0] for hit in found]


def found_ids(documents: list[Document]) -> list[int]:
    return [int(document.id or -1) for document in documents]


@both_ways
@every_metric
@pytest.mark.parametrize("method", SEARCHES[:5])
async def test_k_documents_come_back_in_the_exact_order(
    filled: Any, call: Call, metric: Metric, method: str
) -> None:
    order = ranking(metric, vector("query"), ROWS)
    for k in (0, 1, 4, 20, 50, 51, 75, 100):
        documents = await search(call, filled(metric), method, k=k)
        assert found_ids(documents) == order[:k]
        assert [d.page_content for d in documents] == [TEXTS[i] for i in order[:k]]
        assert [d.metadata for d in documents] == [METADATAS[i] for i in order[:k]]


@both_ways
@every_search
async def test_four_documents_by_default(filled: Any, call: Call, method: str) -> None:
    assert len(await search(call, filled("cosine"), method)) == 4


@both_ways
@every_search
async def test_a_negative_k_is_refused(filled: Any, call: Call, method: str) -> None:
    with pytest.raises(InvalidInputError, match="not negative"):
        await search(call, filled("cosine"), method, k=-1)


@both_ways
@every_search
@pytest.mark.parametrize("k", [1, 51, 100])
async def test_fewer_matches_than_k_all_come_back(
    filled: Any, call: Call, method: str, k: int
) -> None:
    chosen = {"year": {"$gte": 1950, "$lt": 1990}}
    documents = await search(call, filled("cosine"), method, k=k, filter=chosen)
    assert len(documents) == min(k, 40)
    assert all(document.metadata["year"] < 1990 for document in documents)


@both_ways
@every_metric
async def test_scores_are_the_services_own(filled: Any, call: Call, metric: Metric) -> None:
    found = await call(filled(metric), "similarity_search_with_score", "query", k=100)
    scores = raw_scores(metric, vector("query"), ROWS)
    expected = [scores[int(document.id)] for document, _ in found]
    assert [score for _, score in found] == pytest.approx(expected, rel=1e-5, abs=1e-5)


@both_ways
@every_metric
async def test_relevance_is_in_zero_to_one_and_falls_along_the_ranking(
    filled: Any, call: Call, metric: Metric
) -> None:
    method = "similarity_search_with_relevance_scores"
    found = await call(filled(metric), method, TEXTS[5], k=100)
    relevances = [relevance for _, relevance in found]
    assert found[0][0].id == "5"
    assert relevances[0] == pytest.approx(1.0, abs=1e-4)
    assert all(0.0 <= relevance <= 1.0 for relevance in relevances)
    assert relevances == sorted(relevances, reverse=True)
    assert len(set(relevances)) > 90


def unit(text: str) -> list[float]:
    row = np.array(vector(text))
    return (row / np.linalg.norm(row)).tolist()


def of_length(text: str) -> list[float]:
    """In the direction of `unit`, from a fifth to five times as long."""
    length = 5 ** np.random.default_rng(list(text.encode())).uniform(-1, 1)
    return (length * np.array(unit(text))).tolist()


def opposite(row: list[float]) -> list[float]:
    return [-value for value in row]


MADE = ["query", *TEXTS[:60]]
RELEVANT = "similarity_search_with_relevance_scores"


async def relevances(
    call: Call, client: VectorizeClient, metric: Metric, special: dict[str, list[float]]
) -> dict[str, float]:
    """The relevance of every text to the text "query", best first."""
    client.create_index(metric, dimensions=32, metric=metric, exist_ok=True)
    store = VectorizeVectorStore(Embedder(special), index_name=metric, client=client)
    store.delete(delete_all=True)
    store.add_texts([*special], ids=[*special])
    found = await call(store, RELEVANT, "query", k=len(special))
    scored = store.similarity_search_with_score("query", k=len(special))
    assert [document.id for document, _ in found] == [document.id for document, _ in scored]
    assert [relevance for _, relevance in found] == sorted((r for _, r in found), reverse=True)
    assert all(0.0 <= relevance <= 1.0 for _, relevance in found)
    return {document.id: relevance for document, relevance in found}


@both_ways
@every_metric
@pytest.mark.parametrize("length", [1.0, 0.01, 30.0])
async def test_embeddings_of_one_length_have_the_relevance_that_the_cosine_gives(
    client: VectorizeClient, call: Call, metric: Metric, length: float
) -> None:
    directions = {name: np.array(unit(name)) for name in MADE}
    special = {name: (length * row).tolist() for name, row in directions.items()}
    special["opposite"] = opposite(special["query"])
    special["right angle"] = (length * right_angle(directions["query"])).tolist()
    found = await relevances(call, client, metric, special)
    for name, relevance in found.items():
        cosine = raw_scores("cosine", special["query"], [special[name]])[0]
        assert relevance == pytest.approx((1 + cosine) / 2, abs=1e-5), name
    assert found["query"] == pytest.approx(1.0, abs=1e-6)
    assert found["opposite"] == pytest.approx(0.0, abs=1e-6)
    assert found["right angle"] == pytest.approx(0.5, abs=1e-6)


def right_angle(row: np.ndarray) -> np.ndarray:
    other = np.array(unit("right angle"))
    other -= (other @ row) * row
    return other / np.linalg.norm(other)


@both_ways
@every_metric
async def test_embeddings_of_any_length_are_ranked_by_relevance_as_by_score(
    client: VectorizeClient, call: Call, metric: Metric
) -> None:
    special = {name: of_length(name) for name in MADE}
    found = await relevances(call, client, metric, special)
    assert found["query"] == pytest.approx(1.0, abs=1e-6)
    inside = [relevance for relevance in found.values() if 0.0 < relevance < 1.0]
    assert len({*inside}) == len(inside)
    assert len(inside) > len(found) / 3


@both_ways
@every_metric
async def test_a_zero_vector_has_relevance_too(
    client: VectorizeClient, call: Call, metric: Metric
) -> None:
    rows = {"query": [0.0] * 32, "one": unit("one"), "two": unit("two")}
    found = await relevances(call, client, metric, rows)
    assert found["one"] == pytest.approx(0.75 if metric == "euclidean" else 0.5)
    rows["query"] = unit("query")
    assert (await relevances(call, client, metric, rows | {"none": [0.0] * 32}))["none"] > 0.4


@both_ways
@every_metric
async def test_a_threshold_means_the_same_by_every_metric(
    client: VectorizeClient, call: Call, metric: Metric
) -> None:
    client.create_index("docs", dimensions=32, metric=metric)
    special = {f"at {angle}": at_angle(angle) for angle in range(0, 181, 20)}
    store = VectorizeVectorStore(
        Embedder({**special, "query": at_angle(0)}), index_name="docs", client=client
    )
    store.add_texts([*special], ids=[*special])
    for threshold, most in ((0.99, 0), (0.8, 40), (0.7, 60), (0.2, 120), (0.0, 180)):
        retriever = store.as_retriever(
            search_type="similarity_score_threshold",
            search_kwargs={"score_threshold": threshold, "k": 20},
        )
        found = [document.id for document in await call(retriever, "invoke", "query")]
        assert found == [f"at {angle}" for angle in range(0, most + 1, 20)]


def at_angle(degrees: float) -> list[float]:
    return [float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees))), *[0.0] * 30]


@every_metric
def test_relevance_stays_in_range_for_any_score(metric: Metric) -> None:
    scores = np.array([-1e30, -50, -1.0000001, -1, -0.5, 0, 0.5, 1, 1.0000001, 50, 1e30])
    if metric == "euclidean":
        scores = scores[scores >= 0]
    for query in (None, np.full(32, 1e-30, np.float32), np.full(32, 1e30, np.float32)):
        values = [relevance_by(metric, query)(float(score)) for score in scores]
        assert all(0.0 <= value <= 1.0 for value in values)
        assert values == sorted(values, reverse=metric != "cosine")
    assert relevance_by(metric)({"cosine": 1.0, "euclidean": 0.0}.get(metric, -1.0)) == 1.0


@every_metric
def test_a_match_in_single_precision_is_perfect_and_keeps_the_order(metric: Metric) -> None:
    for seed in range(100):
        row = np.random.default_rng(seed).standard_normal(32)
        query = np.asarray(row / np.linalg.norm(row), np.float32)
        dot = float(-(query @ query))
        score = {"cosine": 1.0, "euclidean": 0.0}.get(metric, dot)
        of = relevance_by(metric, query)
        assert of(score) == 1.0
        assert of(score) >= of(score + (1e-7 if metric != "cosine" else -1e-7))


def test_langchains_own_function_of_scores_is_that_for_unit_vectors(filled: Any) -> None:
    of_perfect: dict[Metric, float] = {"cosine": 1.0, "euclidean": 0.0, "dot-product": -1.0}
    of_opposite: dict[Metric, float] = {"cosine": -1.0, "euclidean": 2.0, "dot-product": 1.0}
    for metric in METRICS:
        function = filled(metric)._select_relevance_score_fn()
        assert (function(of_perfect[metric]), function(of_opposite[metric])) == (1.0, 0.0)


@both_ways
async def test_relevance_can_be_ones_own(make: Make, call: Call) -> None:
    store = make(relevance_score_fn=lambda score: 0.25 if score < 0.999 else 0.75)
    store.add_texts(["a", "b"])
    found = await call(store, "similarity_search_with_relevance_scores", "a")
    assert [relevance for _, relevance in found] == [0.75, 0.25]
    above = {"score_threshold": 0.5}
    found = await call(store, "similarity_search_with_relevance_scores", "a", **above)
    assert [document.page_content for document, _ in found] == ["a"]


@both_ways
@pytest.mark.parametrize("threshold", [None, 0.5])
@pytest.mark.parametrize("given", [None, "0.5", True, float("nan"), [0.5]])
async def test_a_relevance_of_ones_own_is_a_number(
    make: Make, call: Call, given: Any, threshold: float | None
) -> None:
    store = make(relevance_score_fn=lambda _: given)
    store.add_texts(["a"])
    options = {"score_threshold": threshold}
    with pytest.raises(InvalidInputError, match="relevance_score_fn returns is a number; got"):
        await call(store, "similarity_search_with_relevance_scores", "a", **options)


@both_ways
@pytest.mark.parametrize(
    ("name", "instead"),
    [("id", r"get_by_ids\(\)"), ("namespace", "namespace="), ("page_content", "word")],
)
async def test_a_filter_on_what_is_not_metadata_is_told_what_to_use(
    make: Make, call: Call, name: str, instead: str
) -> None:
    store = make()
    store.add_texts(["a"], [{name: "b"}], ids=["a"])
    for method, *args in (["similarity_search", "a"], ["count"], ["delete"]):
        with pytest.raises(UnindexedPropertyError, match=instead) as caught:
            await call(store, method, *args, filter={name: "b"})
        assert "create_metadata_index" not in str(caught.value)
    assert await call(store, "count", filter={name: "b"}, unindexed="scan") == 1


# Maximal marginal relevance


def chosen_by_hand(
    query: list[float], rows: list[list[float]], k: int, fetch_k: int, lambda_mult: float
) -> list[int]:
    """Carbonell and Goldstein's rule, in plain Python over the ``fetch_k`` nearest."""

    def cosine(one: list[float], other: list[float]) -> float:
        a, b = np.asarray(one), np.asarray(other)
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    candidates = ranking("cosine", query, rows)[:fetch_k]
    chosen = [candidates.pop(0)]
    while candidates and len(chosen) < k:
        best = max(
            candidates,
            key=lambda i: (
                lambda_mult * cosine(query, rows[i])
                - (1 - lambda_mult) * max(cosine(rows[i], rows[j]) for j in chosen)
            ),
        )
        candidates.remove(best)
        chosen.append(best)
    return chosen


@both_ways
@pytest.mark.parametrize("method", SEARCHES[5:])
@pytest.mark.parametrize("fetch_k", [10, 50, 80, 100, 120])
@pytest.mark.parametrize("lambda_mult", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.covering(2)
async def test_mmr_chooses_in_order_out_of_fetch_k(
    filled: Any, call: Call, method: str, fetch_k: int, lambda_mult: float
) -> None:
    options = {"k": 8, "fetch_k": fetch_k, "lambda_mult": lambda_mult}
    documents = await search(call, filled("cosine"), method, **options)
    expected = chosen_by_hand(vector("query"), ROWS, **options)
    assert found_ids(documents) == expected
    assert [d.metadata for d in documents] == [METADATAS[i] for i in expected]
    if lambda_mult == 1.0:
        assert expected == ranking("cosine", vector("query"), ROWS)[:8]


@both_ways
async def test_mmr_at_zero_avoids_near_duplicates(
    make: Make, embedder: Embedder, call: Call
) -> None:
    # Three of nearly the same, then two that are farther and unlike.
    axes = np.eye(32)
    for name, values in {
        "query": axes[0],
        "near 1": axes[0] + 0.01 * axes[1],
        "near 2": axes[0] + 0.011 * axes[1],
        "near 3": axes[0] + 0.012 * axes[1],
        "other": axes[0] * 0.3 + axes[2],
        "another": axes[0] * 0.2 + axes[3],
    }.items():
        embedder.special[name] = values.tolist()
    store = make()
    store.add_texts([name for name in embedder.special if name != "query"])
    for lambda_mult, expected in (
        (1.0, ["near 1", "near 2", "near 3"]),
        (0.0, ["near 1", "another", "other"]),
    ):
        found = await call(
            store, "max_marginal_relevance_search", "query", k=3, lambda_mult=lambda_mult
        )
        assert [document.page_content for document in found] == expected


@both_ways
@pytest.mark.parametrize(("k", "fetch_k", "count"), [(30, 5, 30), (60, 100, 60), (0, 20, 0)])
async def test_mmr_gives_k_whatever_fetch_k_is(
    filled: Any, call: Call, k: int, fetch_k: int, count: int
) -> None:
    method = "max_marginal_relevance_search"
    found = await search(call, filled("cosine"), method, k=k, fetch_k=fetch_k)
    assert len({document.id for document in found}) == len(found) == count


@both_ways
async def test_mmr_names_fetch_k_when_it_is_negative(filled: Any, call: Call) -> None:
    with pytest.raises(InvalidInputError, match="fetch_k is not negative"):
        await call(filled("cosine"), "max_marginal_relevance_search", "query", fetch_k=-1)


@both_ways
@pytest.mark.parametrize("lambda_mult", [-0.1, 1.1, float("nan")])
async def test_mmr_takes_weights_from_0_to_1(filled: Any, call: Call, lambda_mult: float) -> None:
    with pytest.raises(InvalidInputError, match="lambda_mult is a number from 0 to 1; got"):
        await call(
            filled("cosine"), "max_marginal_relevance_search", "query", lambda_mult=lambda_mult
        )


# Retrievers

RETRIEVERS: dict[str, dict[str, Any]] = {
    "similarity": {"k": 60},
    "similarity_score_threshold": {"k": 60, "score_threshold": 0.55},
    "mmr": {"k": 6, "fetch_k": 60, "lambda_mult": 0.2},
}


@both_ways
@every_metric
@pytest.mark.parametrize("search_type", RETRIEVERS)
@pytest.mark.parametrize("narrowed", [False, True])
async def test_a_retriever_of_each_type_finds_what_the_store_finds(
    filled: Any, call: Call, metric: Metric, search_type: str, narrowed: bool
) -> None:
    store: VectorizeVectorStore = filled(metric)
    options = RETRIEVERS[search_type] | ({"filter": {"kind": "odd"}} if narrowed else {})
    if search_type == "mmr":
        expected = store.max_marginal_relevance_search("query", **options)
    elif search_type == "similarity":
        expected = store.similarity_search("query", **options)
    else:
        relevance = relevance_by(metric, np.array(vector("query")))
        best = relevance(raw_best(store, metric, options.get("filter")))
        options["score_threshold"] = best * 0.99
        scored = store.similarity_search_with_relevance_scores("query", **options)
        assert 0 < len(scored) < 60
        assert all(relevance >= best * 0.99 for _, relevance in scored)
        expected = [document for document, _ in scored]
    retriever = store.as_retriever(search_type=search_type, search_kwargs=options)
    assert await call(retriever, "invoke", "query") == expected
    assert not narrowed or {d.metadata["kind"] for d in expected} == {"odd"}


def raw_best(store: VectorizeVectorStore, metric: Metric, filter: Any) -> float:
    ((_, score),) = store.similarity_search_with_score("query", k=1, filter=filter)
    return score


@both_ways
async def test_a_threshold_above_all_finds_nothing(filled: Any, call: Call) -> None:
    retriever = filled("cosine").as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"score_threshold": 1.0}
    )
    assert await call(retriever, "invoke", "query") == []


@both_ways
async def test_a_retrievers_call_may_say_otherwise(filled: Any, call: Call) -> None:
    retriever = filled("cosine").as_retriever(search_kwargs={"k": 3})
    found = await call(retriever, "invoke", "query", k=2, filter={"kind": "odd"})
    assert [document.metadata["kind"] for document in found] == ["odd", "odd"]


@both_ways
async def test_a_retriever_adds_documents(store: VectorizeVectorStore, call: Call) -> None:
    retriever = store.as_retriever()
    assert await call(retriever, "add_documents", [Document("a", id="x")]) == ["x"]
    assert await call(retriever, "invoke", "a") == [Document("a", id="x")]


# By the id of a stored document


@both_ways
@every_metric
@pytest.mark.parametrize("k", [0, 1, 49, 50, 99, 100, 119, 500])
@pytest.mark.covering(2)
async def test_a_stored_document_finds_its_neighbours_unembedded(
    filled: Any, call: Call, metric: Metric, k: int
) -> None:
    store = filled(metric)
    queries = list(store.embeddings.queries)
    found = await call(store, "similarity_search_by_id", "7", k)
    others = [i for i in ranking(metric, ROWS[7], ROWS) if i != 7]
    assert found_ids(found) == others[:k]
    assert store.embeddings.queries == queries


@both_ways
async def test_a_search_by_id_takes_what_other_searches_take(filled: Any, call: Call) -> None:
    store, odd = filled("cosine"), {"kind": "odd"}
    assert len(await call(store, "similarity_search_by_id", "7")) == 4
    found = await call(store, "similarity_search_by_id", "7", 100, filter=odd)
    assert sorted(found_ids(found)) == [i for i in range(1, COUNT, 2) if i != 7]
    with pytest.raises(InvalidInputError, match="not negative"):
        await call(store, "similarity_search_by_id", "7", -1)
    for missing in ("unknown", "x" * 65):
        with pytest.raises(InvalidInputError, match=f"no record of the index.*'{missing}'"):
            await call(store, "similarity_search_by_id", missing)
    with pytest.raises(InvalidInputError, match="no record"):
        await call(store, "similarity_search_by_id", "7", namespace="other")


# Filters and namespaces

FILTERS: dict[str, tuple[dict[str, Any], Callable[[dict[str, Any]], bool]]] = {
    "equal": ({"kind": "odd"}, lambda m: m["kind"] == "odd"),
    "range": ({"year": {"$gt": 1960, "$lte": 1970}}, lambda m: 1960 < m["year"] <= 1970),
    "and": (
        {"kind": {"$ne": "odd"}, "year": {"$nin": [1950, 1952]}},
        lambda m: m["kind"] != "odd" and m["year"] not in (1950, 1952),
    ),
    "in": ({"year": {"$in": [1951, 1953, 2500]}}, lambda m: m["year"] in (1951, 1953)),
    "nothing": ({"year": 1}, lambda m: False),
    "no condition": ({}, lambda m: True),
}


@both_ways
@every_search
@pytest.mark.parametrize(("filter", "matches"), FILTERS.values(), ids=list(FILTERS))
@pytest.mark.covering(2)
async def test_every_search_obeys_a_filter(
    filled: Any, call: Call, method: str, filter: Any, matches: Any
) -> None:
    expected = {i for i, metadata in enumerate(METADATAS) if matches(metadata)}
    found = await search(call, filled("cosine"), method, k=100, filter=filter)
    assert len(found) == min(len(expected), 100)
    assert set(found_ids(found)) <= expected


@both_ways
@every_search
@pytest.mark.parametrize("where", ["filled", "not yet created"])
async def test_a_filter_by_an_unindexed_property_is_an_error_with_its_cure(
    filled: Any, make: Make, call: Call, method: str, where: str
) -> None:
    store = filled("cosine") if where == "filled" else make()
    with pytest.raises(UnindexedPropertyError, match=r"'colour'.*metadata_indexes=.*'colour'"):
        await search(call, store, method, filter={"colour": "red"})


@both_ways
@every_search
@pytest.mark.parametrize(
    ("filter", "message"),
    [
        ({"$orr": [{"kind": "odd"}]}, r"\$orr is not an operator.*\$or"),
        ({"kind": {"$lik": "o%"}}, r"kind\.\$lik.*\$like"),
        ({"kind": ["odd"]}, "kind got a list"),
        ("kind = odd", "mapping"),
    ],
)
async def test_what_is_no_filter_is_refused_at_once(
    filled: Any, call: Call, method: str, filter: Any, message: str
) -> None:
    store = filled("cosine")
    embedded = list(store.embeddings.queries)
    with pytest.raises(InvalidFilterError, match=message):
        await search(call, store, method, filter=filter)
    assert store.embeddings.queries == embedded


@both_ways
@every_search
async def test_a_vectorize_filter_is_sent_untouched(
    make: Make, sent: Recorder, call: Call, method: str
) -> None:
    store = make()
    store.add_texts(["a"])
    native = {"unindexed": {"$eq": "x"}}
    assert await search(call, store, method, vectorize_filter=native) == []
    assert [query.filter for query in sent.of(Query)] == [native]
    with pytest.raises(InvalidInputError, match="not both"):
        await search(call, store, method, vectorize_filter=native, filter={})


@both_ways
@every_search
async def test_a_search_is_in_its_own_namespace_or_the_stores_or_all(
    make: Make, call: Call, method: str
) -> None:
    of_a, anywhere = make(namespace="a"), make()
    of_a.add_texts(["1"], ids=["1"])
    of_a.add_texts(["2"], ids=["2"], namespace="b")
    anywhere.add_texts(["3"], ids=["3"])
    for store, namespace, expected in (
        (of_a, None, {1}),
        (of_a, "b", {2}),
        (anywhere, None, {1, 2, 3}),
        (anywhere, "a", {1}),
        (anywhere, "c", set()),
    ):
        found = await search(call, store, method, namespace=namespace)
        assert set(found_ids(found)) == expected


# Scores and vectors


@both_ways
@every_metric
async def test_a_search_takes_a_threshold_of_its_scores(
    filled: Any, call: Call, metric: Metric
) -> None:
    store: VectorizeVectorStore = filled(metric)
    every = store.similarity_search_with_score("query", 60)
    limit = every[20][1]
    good = {
        d.id for d, score in every if (score >= limit) == (metric == "cosine") or score == limit
    }
    given: dict[str, Any] = {"k": 60, "score_threshold": limit}
    query, by_vector = "query", vector("query")
    for method, asked in (
        ("similarity_search", query),
        ("similarity_search_with_score", query),
        ("similarity_search_with_vectors", query),
        ("similarity_search_by_vector", by_vector),
        ("similarity_search_with_score_by_vector", by_vector),
        ("max_marginal_relevance_search", query),
        ("max_marginal_relevance_search_with_score", query),
    ):
        more = {"fetch_k": 60} if "marginal" in method else {}
        found = await call(store, method, asked, **given, **more)
        documents = [one if isinstance(one, Document) else one[0] for one in found]
        assert {document.id for document in documents} == good, method
    for search_type in ("similarity", "mmr"):
        more = {"fetch_k": 60} if search_type == "mmr" else {}
        options: Any = {"search_type": search_type, "search_kwargs": {**given, **more}}
        found = await call(store.as_retriever(**options), "invoke", query)
        assert {document.id for document in found} == good


@both_ways
@every_metric
async def test_what_is_found_comes_with_its_embedding(
    filled: Any, call: Call, metric: Metric
) -> None:
    store: VectorizeVectorStore = filled(metric)
    found = await call(store, "similarity_search_with_vectors", "query", 7)
    assert [document for document, _ in found] == store.similarity_search("query", 7)
    for document, values in found:
        assert values.dtype == np.float32
        assert values.tolist() == pytest.approx(vector(document.page_content), abs=1e-6)


@both_ways
@every_metric
async def test_diverse_documents_come_with_their_scores(
    filled: Any, call: Call, metric: Metric
) -> None:
    store: VectorizeVectorStore = filled(metric)
    scores = {d.id: score for d, score in store.similarity_search_with_score("query", 40)}
    given = {"k": 6, "fetch_k": 40, "lambda_mult": 0.3}
    plain = store.max_marginal_relevance_search("query", **given)
    for suffix, asked in (("", "query"), ("_by_vector", vector("query"))):
        method = f"max_marginal_relevance_search_with_score{suffix}"
        found = await call(store, method, asked, **given)
        assert [document for document, _ in found] == plain
        expected = [scores[document.id] for document in plain]
        assert [score for _, score in found] == pytest.approx(expected, abs=1e-5)


# Options of another search

MISPLACED = [
    ("similarity_search_by_vector", "fetch_k", "search_type='mmr'.*takes that"),
    ("similarity_search", "lambda_mult", "max_marginal_relevance_search.*takes that"),
    ("similarity_search", "score_treshold", "did you mean 'score_threshold'"),
    ("similarity_search", "score_thresh", "did you mean 'score_threshold'"),
    ("similarity_search_with_relevance_scores", "fetch_k", "search_type='mmr'"),
    ("similarity_search_with_relevance_scores", "score_treshold", "mean 'score_threshold'"),
    ("max_marginal_relevance_search", "fetchk", "mean 'fetch_k'"),
]


@both_ways
@pytest.mark.parametrize(("method", "keyword", "message"), MISPLACED)
async def test_an_option_of_another_search_names_what_takes_it(
    filled: Any, call: Call, method: str, keyword: str, message: str
) -> None:
    with pytest.raises(TypeError, match=f"'{keyword}'; .*{message}"):
        await search(call, filled("cosine"), method, **{keyword: 0.5})


@both_ways
async def test_an_option_of_another_retriever_type_names_that_type(filled: Any, call: Call) -> None:
    retriever = filled("cosine").as_retriever(search_kwargs={"lambda_mult": 0.5})
    with pytest.raises(TypeError, match="search_type='mmr'"):
        await call(retriever, "invoke", "query")


# An index that is not there

UNKNOWN_INDEX = "does not exist.*create_index=True"


@both_ways
@every_search
async def test_before_the_first_write_a_store_finds_nothing(
    make: Make, sent: Recorder, call: Call, method: str
) -> None:
    assert await search(call, make(), method) == []
    assert await search(call, make(metadata_indexes=INDEXES), method, filter={"year": 1}) == []
    assert sent.changes == []


@both_ways
@every_search
async def test_an_index_that_may_not_be_created_has_to_exist(
    make: Make, embedder: Embedder, call: Call, method: str
) -> None:
    with pytest.raises(IndexNotFoundError, match=UNKNOWN_INDEX):
        await search(call, make(create_index=False), method)
    assert embedder.queries == []


@both_ways
@every_search
async def test_a_query_of_another_model_is_refused(
    filled: Any, call: Call, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled("cosine")
    for bad, message in (([1.0] * 31, "31 dimensions.* 32"), ([float("nan")] * 32, "NaN")):
        monkeypatch.setitem(store.embeddings.special, "bad", bad)
        query = bad if method.endswith("by_vector") else "bad"
        with pytest.raises(InvalidInputError, match=message):
            await call(store, method, query)


async def test_what_is_found_is_the_callers_to_change(store: VectorizeVectorStore) -> None:
    store.add_texts(["a"], [{"tags": ["x"]}])
    (found,) = await search(sync_call, store, "similarity_search")
    found.metadata["tags"].append("y")
    found.metadata["new"] = 1
    (again,) = await search(sync_call, store, "similarity_search")
    assert again.metadata == {"tags": ["x"]}


@both_ways
async def test_a_search_takes_one_request_up_to_fifty(
    make: Make, client: VectorizeClient, call: Call
) -> None:
    make().add_texts(TEXTS)
    sent = recorded(client)
    store = make()
    await search(call, store, "similarity_search")
    sent.ops.clear()
    for k, requests in ((50, 1), (51, 1 + 3), (100, 1 + 5)):
        await search(call, store, "similarity_search", k=k)
        assert len(sent.ops) == requests
        sent.ops.clear()
