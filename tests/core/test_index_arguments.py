"""Wrong arguments, to every method of an index: a named error, and nothing sent before it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.core.helpers import Variant, both_variants
from tests.stores import Recorder, recorded
from tests.wrong import (
    FILTER,
    FIND,
    PRECISION,
    SOME_IDS,
    TIMEOUT,
    UNINDEXED,
    VECTOR,
    WAITS,
    WRITE,
    Wrong,
    count,
    embedding,
    flag,
    needed,
)
from vectorize_core import AsyncIndex, Index, InvalidInputError, Vector, VectorizeClient


def assigned(values: Any) -> Vector:
    """A vector whose values were replaced after it was made."""
    vector = Vector("a", VECTOR)
    vector.values = values
    return vector


SELECT = {"filter": FILTER, **FIND}
QUERY = {
    "top_k": count("top_k"),
    "return_values": flag("return_values"),
    "return_metadata": {
        "a text": ("some", "return_metadata is 'none', 'indexed' or 'all'; got 'some'"),
        "True": (True, "return_metadata is 'none', 'indexed' or 'all'; got True"),
    },
    **SELECT,
}
VECTORS = {
    **needed("vectors", "Vectors"),
    "a Vector": (Vector("a", VECTOR), "vectors is an iterable of Vectors; got Vector.*into a list"),
    "a text inside": (["a"], r"vectors\[0\] is a Vector; got 'a' \(str\)"),
    "a dict inside": ([{"id": "a"}], r"vectors\[0\] is a Vector; got .*\(dict\)"),
    "None inside": ([Vector("a", VECTOR), None], r"vectors\[1\] is a Vector; got None"),
    "a text as values": ([assigned("abc")], "vector 'a' is a list of numbers; got 'abc'"),
    "no values": ([assigned(None)], "vector 'a' is a list of numbers; got None"),
    "a text in values": ([assigned([0.5, "x"])], "vector 'a' is a list of numbers; got .*'x' "),
    "a table as values": ([assigned(np.ones((2, 2)))], r"vector 'a' .* array of shape \(2, 2\)"),
    "an id that is none": ([Vector(None, VECTOR)], "an id is a non-empty string"),  # type: ignore[arg-type]
}
INDEXED = {
    "property_name": {"a number": (5, "property_name is a string; got 5")},
    "index_type": {"a text": ("text", "the metadata index on 'year' has the type 'text'")},
}
WRONG: dict[str, dict[str, Wrong]] = {
    "upsert": {"vectors": VECTORS, **WRITE},
    "insert": {"vectors": VECTORS, **WRITE},
    "query": {"vector": embedding("vector"), **QUERY},
    "query_by_id": {
        "vector_id": {
            "None": (None, "None; an id is a non-empty string"),
            "a list": (["a"], r"\['a'\] \(list\); an id is a non-empty string"),
        },
        **QUERY,
    },
    "get": {"ids": SOME_IDS},
    "delete": {
        "ids": {**SOME_IDS, "None": (None, "a delete takes ids, or a filter")},
        "verify": flag("verify"),
        **WAITS,
    },
    "list_ids": {
        "page_size": {**count("page_size", 1), "huge": (1_001, "page_size is at most 1000; got")}
    },
    "iter_ids": {"precision": PRECISION, **SELECT},
    "iter": SELECT,
    "count": {"precision": PRECISION, **SELECT},
    "explain_filter": {
        "filter": FILTER,
        "top_k": {name: case for name, case in count("top_k").items() if name != "None"},
        "unindexed": UNINDEXED,
    },
    "reindex_metadata": WAITS,
    "create_metadata_index": INDEXED,
    "delete_metadata_index": {
        "property_name": {
            "None": (None, "property_name is a string; got None"),
            "a number": (5, r"property_name is a string; got 5 \(int\)"),
        },
    },
    "wait": {"wait_timeout": TIMEOUT},
}
RIGHT: dict[str, dict[str, Any]] = {
    "upsert": {"vectors": [Vector("a", VECTOR)]},
    "insert": {"vectors": [Vector("a", VECTOR)]},
    "query": {"vector": VECTOR},
    "query_by_id": {"vector_id": "a"},
    "delete": {"ids": ["a"]},
    "explain_filter": {"filter": None},
    "create_metadata_index": {"property_name": "year", "index_type": "number"},
}
CASES = [
    pytest.param(method, argument, value, said, id=f"{method}-{argument}-{name}")
    for method, of in WRONG.items()
    for argument, wrong in of.items()
    for name, (value, said) in wrong.items()
]
WITHOUT_ARGUMENTS = {"info", "details", "list_metadata_indexes", "to_async"}


def test_every_method_is_here() -> None:
    public = {name for name, of in vars(Index).items() if callable(of) and name[0] != "_"}
    assert public == {*WRONG, *WITHOUT_ARGUMENTS}


@pytest.fixture
def index(client: VectorizeClient) -> Index:
    return filled(client)


def filled(client: VectorizeClient) -> Index:
    client.create_index("docs", dimensions=32)
    index = client.index("docs")
    index.upsert([Vector(name, VECTOR) for name in "abc"])
    return index


async def done(variant: Variant, index: Index, method: str, **given: Any) -> Any:
    """What a method of either variant returns or yields."""
    of = index if variant.name == "sync" else AsyncIndex(index.connection, index.name)
    found = getattr(of, method)(**given)
    if inspect.isasyncgen(found):
        return [item async for item in found]
    if inspect.isawaitable(found):
        return await found
    return list(found) if inspect.isgenerator(found) else found


@pytest.fixture(scope="module")
def untouched() -> Iterator[tuple[Index, Recorder]]:
    """An index that nothing is to reach; and what would notice."""
    with VectorizeClient.local() as client:
        index = filled(client)
        yield index, recorded(client)


@pytest.mark.covering(2)
@both_variants
@pytest.mark.parametrize(("method", "argument", "value", "said"), CASES)
async def test_a_wrong_argument_is_named_before_anything_is_sent(
    untouched: tuple[Index, Recorder],
    variant: Variant,
    method: str,
    argument: str,
    value: Any,
    said: str,
) -> None:
    index, sent = untouched
    sent.ops.clear()
    with pytest.raises(InvalidInputError, match=said):
        await done(variant, index, method, **{**RIGHT.get(method, {}), argument: value})
    assert sent.ops == []


@both_variants
@pytest.mark.parametrize("two", [np.int64(2), 2.0, np.float32(2), np.array(2)])
async def test_a_whole_number_may_be_numpys_or_a_float(
    index: Index, variant: Variant, two: Any
) -> None:
    vectors = [Vector(name, VECTOR) for name in "abcde"]
    options = {"batch_size": two, "max_batch_bytes": two * 50_000, "concurrency": two}
    written = await done(variant, index, "upsert", vectors=vectors, **options)
    assert len(written) == 3
    for method, given in (("query", {"vector": VECTOR}), ("query_by_id", {"vector_id": "a"})):
        found = await done(variant, index, method, **given, top_k=two, max_requests=two)
        assert len(found) == 2
    assert len(await done(variant, index, "list_ids", page_size=two)) == 5
    assert await done(variant, index, "count", max_requests=two) == 5
    explained = await done(variant, index, "explain_filter", filter=None, top_k=two)
    assert explained.top_k == 2


def test_an_index_may_have_dimensions_of_any_integral_kind(client: VectorizeClient) -> None:
    for number, dimensions in enumerate([np.int64(32), 32.0, np.float32(32)]):
        made = client.create_index(f"docs-{number}", dimensions=dimensions)  # type: ignore[arg-type]
        assert made.config.dimensions == 32


@pytest.mark.parametrize("values", [list(VECTOR), tuple(VECTOR), np.array(VECTOR)])
def test_values_may_be_assigned_to_a_vector(values: Any) -> None:
    with VectorizeClient.local() as client:
        client.create_index("docs", dimensions=len(VECTOR), metric="cosine")
        index = client.index("docs")
        vector = Vector("a", [0.0] * len(VECTOR))
        vector.values = values
        index.upsert([vector])
        assert index.get(["a"]) == [Vector("a", VECTOR)]
