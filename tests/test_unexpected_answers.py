"""A server that lies is found out by both stores: an error that says where, and no wrong record."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.kinds import Kind, both_stores
from tests.lying import Lie, Lying
from tests.stores import DIMENSIONS, Call, both_ways
from vectorize_core import (
    UnexpectedAnswerError,
    VectorizeClient,
    VectorizeError,
    WaitTimeoutError,
    layout,
)
from vectorize_core.local.server import BackgroundServer
from vectorize_core.reads import by_id

pytestmark = pytest.mark.covering(2)

ROWS = [(f"id{n}", f"text {n}", {"n": n, "half": n % 2}) for n in range(70)]
IDS = [row[0] for row in ROWS]


@pytest.fixture(scope="module")
def server() -> Iterator[BackgroundServer]:
    with BackgroundServer() as server:
        yield server


@pytest.fixture
def lying() -> Iterator[Lying]:
    way = Lying()
    yield way
    way.close()


@pytest.fixture
async def client(server: BackgroundServer, lying: Lying) -> AsyncIterator[VectorizeClient]:
    made = lying.client(server, uuid4().hex)
    async with made.to_async():
        yield made


async def filled(kind: Kind, call: Call, client: VectorizeClient, **options: Any) -> Any:
    store = kind.over(client, **options)
    await kind.add_rows(call, store, ROWS)
    return store


def of_matches(change: Any) -> Lie:
    """Changes the third match, in place."""

    def lie(result: Any, _: httpx.Request) -> Any:
        change(result["matches"][2])
        return result

    return lie


def twice(result: Any, _: httpx.Request) -> Any:
    result["matches"][2] = result["matches"][1]
    return result


def many(result: Any, _: httpx.Request) -> Any:
    result["matches"] = [{**result["matches"][0], "id": f"m{n}"} for n in range(500)]
    result["count"] = 500
    return result


OF_QUERIES: dict[str, tuple[Lie, str]] = {
    "NaN": (of_matches(lambda match: match.update(score="NaN")), r"matches\[2\].score"),
    "a score that is true": (of_matches(lambda m: m.update(score=True)), r"matches\[2\].score"),
    "an id that is a number": (of_matches(lambda m: m.update(id=7)), r"matches\[2\].id"),
    "metadata that is a list": (of_matches(lambda m: m.update(metadata=[1])), "metadata"),
    "a match twice": (twice, r"matches\[2\].id"),
    "500 matches": (many, "500 matches"),
    "nothing": (lambda _, request: None, "result is missing"),
    "a list": (lambda result, _: result["matches"], "result is"),
}


@both_ways
@both_stores
@pytest.mark.parametrize("k", [5, 60])
@pytest.mark.parametrize(("lie", "where"), OF_QUERIES.values(), ids=OF_QUERIES)
@pytest.mark.covering(2)
async def test_a_search_raises_what_is_wrong_with_its_answer(
    kind: Kind, call: Call, client: VectorizeClient, lying: Lying, lie: Lie, where: str, k: int
) -> None:
    store = await filled(kind, call, client)
    lying.lies["query"] = lie
    with pytest.raises(UnexpectedAnswerError, match=rf"^Query\(docs\): .*{where}"):
        await kind.search(call, store, "text 1", k)


def shorter(result: Any, _: httpx.Request) -> Any:
    return [{**vector, "values": vector["values"][:7]} for vector in result]


def others(result: Any, _: httpx.Request) -> Any:
    return [{**vector, "id": f"other {vector['id']}"} for vector in result]


OF_GETS: dict[str, tuple[Lie, str]] = {
    "7 values of 32": (shorter, f"7 values, and the index has {DIMENSIONS}"),
    "others": (others, "none of those that were asked for"),
    "twice": (lambda result, _: result[:1] * 2, "like that of"),
    "nothing": (lambda _, request: None, "result is missing"),
}


@both_ways
@both_stores
@pytest.mark.parametrize(("lie", "where"), OF_GETS.values(), ids=OF_GETS)
async def test_a_get_raises_what_is_wrong_with_its_answer(
    kind: Kind, call: Call, client: VectorizeClient, lying: Lying, lie: Lie, where: str
) -> None:
    store = await filled(kind, call, client)
    lying.lies["get_by_ids"] = lie
    with pytest.raises(UnexpectedAnswerError, match=rf"^GetByIds\(docs\): .*{where}"):
        await kind.get(call, store, IDS)


@both_ways
@both_stores
async def test_matches_in_another_order_are_sorted(
    kind: Kind, call: Call, client: VectorizeClient, lying: Lying
) -> None:
    store = await filled(kind, call, client)
    expected = [await kind.search(call, store, "text 1", k) for k in (5, 60)]

    def shuffled(result: Any, _: httpx.Request) -> Any:
        return {**result, "matches": result["matches"][::-1]}

    lying.lies["query"] = shuffled
    assert [await kind.search(call, store, "text 1", k) for k in (5, 60)] == expected


def with_the_same_cursor(result: Any, request: httpx.Request) -> Any:
    return {**result, "isTruncated": True, "nextCursor": "again"}


def without_ids(result: Any, request: httpx.Request) -> Any:
    cursor = request.url.params.get("cursor", "")
    return {**result, "count": 0, "vectors": [], "isTruncated": True, "nextCursor": cursor + "c"}


@both_ways
@both_stores
@pytest.mark.parametrize("lie", [with_the_same_cursor, without_ids])
async def test_deleting_everything_by_a_listing_that_does_not_end_deletes_nothing(
    kind: Kind, call: Call, client: VectorizeClient, lying: Lying, lie: Lie
) -> None:
    store = await filled(kind, call, client)
    lying.lies["list"] = lie
    with pytest.raises(UnexpectedAnswerError, match="the listing does not end"):
        await kind.clear(call, store)
    assert client.index("docs").info().vector_count == len(ROWS)


class Full:
    """Answers are full whatever is asked, but of records in no bucket; with ``fresh`` ids, or not.

    So the parts of a search can be divided for ever, until each is a single bucket.
    """

    def __init__(self, *, fresh: bool) -> None:
        self.fresh = fresh
        self.asked = 0

    def __call__(self, result: Any, request: httpx.Request) -> Any:
        asked = json.loads(request.content)
        if "_vs_own" in asked.get("filter", {}):
            return result
        self.asked += 1
        name = f"{self.asked} " if self.fresh and "_vs_bucket" in asked.get("filter", {}) else ""
        ids = [f"{name}full {n}" for n in range(asked["topK"])]
        matches = [{"id": i, "score": 0.5, "values": [0.5] * DIMENSIONS} for i in ids]
        return {"count": len(ids), "matches": matches}


@both_ways
@both_stores
@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.covering(2)
async def test_clearing_a_namespace_ends_whatever_the_answers_are(
    kind: Kind,
    call: Call,
    client: VectorizeClient,
    lying: Lying,
    fresh: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(by_id, "_MORE", 20)
    store = await filled(kind, call, client, namespace="mine")
    lying.lies["query"] = lie = Full(fresh=fresh)
    lying.lies["list"] = with_the_same_cursor
    with pytest.raises(VectorizeError):
        await kind.clear(call, store)
    assert 3 < lie.asked < 2 * len(ROWS) + 60
    assert client.index("docs").info().vector_count == len(ROWS)


@both_ways
@both_stores
@pytest.mark.parametrize(
    "change", [{"name": "other"}, {"config": {"dimensions": 31, "metric": "cosine"}}]
)
async def test_an_index_that_was_not_made_as_asked_is_not_written_to(
    kind: Kind, call: Call, client: VectorizeClient, lying: Lying, change: Any
) -> None:
    lying.lies["indexes"] = lambda result, _: {**result, **change}
    with pytest.raises(UnexpectedAnswerError, match=r"^CreateIndex\(docs\): "):
        await kind.add_rows(call, kind.over(client), ROWS)
    assert "upsert" not in lying.asked


@both_ways
@both_stores
@pytest.mark.parametrize(("lie", "where"), OF_QUERIES.values(), ids=OF_QUERIES)
@pytest.mark.covering(1)
async def test_a_delete_by_a_filter_deletes_nothing_that_is_not_certain(
    kind: Kind, call: Call, client: VectorizeClient, lying: Lying, lie: Lie, where: str
) -> None:
    store = await filled(kind, call, client, metadata_indexes={"half": "number"})
    lying.lies["query"] = lie
    with pytest.raises(UnexpectedAnswerError, match=rf"^Query\(docs\): .*{where}"):
        await kind.delete_where(call, store, "half", 1)
    assert client.index("docs").info().vector_count == len(ROWS)


@both_ways
@both_stores
async def test_a_view_takes_no_match_of_another_tenant_and_does_not_name_it(
    kind: Kind, call: Call, client: VectorizeClient, lying: Lying
) -> None:
    view = kind.over(client).with_namespace("mine")
    await kind.add_rows(call, view, ROWS)
    theirs = {"namespace": "their name", "id": "their id", "metadata": {"text": "their text"}}
    lying.lies["query"] = of_matches(lambda match: match.update(theirs))
    with pytest.raises(UnexpectedAnswerError, match=r"matches\[2\].namespace is another") as caught:
        await kind.search(call, view, "text 1")
    assert "their" not in str(caught.value)


def each_vector(change: Any) -> Lie:
    """The vectors of an answer, each changed."""
    return lambda result, _: [{**one, **change(one)} for one in result]


OF_OTHERS: dict[str, tuple[str, Lie]] = {
    "an id twice": ("get_by_ids", lambda result, _: [*result, *result[:1]]),
    "text for metadata": ("get_by_ids", each_vector(lambda v: {"metadata": str(v["metadata"])})),
    "fewer values": ("get_by_ids", each_vector(lambda v: {"values": v["values"][:3]})),
    "a value that is an id": (
        "get_by_ids",
        each_vector(lambda v: {"values": [v["id"], *v["values"][1:]]}),
    ),
    "a listing without end": (
        "list",
        lambda result, _: {**result, "nextCursor": "the same", "isTruncated": True},
    ),
}


@both_ways
@both_stores
@pytest.mark.parametrize("lie", OF_OTHERS)
@pytest.mark.covering(2)
async def test_what_is_wrong_with_records_of_others_is_told_to_no_tenant(
    kind: Kind, call: Call, client: VectorizeClient, lying: Lying, lie: str
) -> None:
    """Neither where a view has to read the whole index, nor where it waits for others' writes."""
    client.create_index("docs", dimensions=DIMENSIONS, record_layout=False)
    store = kind.over(client, wait_timeout=0.1)
    view, other = store.with_namespace("mine"), store.with_namespace("theirs")
    await kind.add_rows(call, view, ROWS)
    await kind.add_rows(call, other, [(f"their {n}", "their text", {}) for n in range(70)])
    where, told_so = OF_OTHERS[lie]
    hidden = ["their", *(layout.stored_id("theirs", f"their {n}") for n in range(70))]
    said = ""
    for _ in ("waits for others", "reads others"):
        lying.lies = {where: told_so}
        with pytest.raises((UnexpectedAnswerError, WaitTimeoutError)) as caught:
            await call(view, "count", precision="high")
        error: BaseException | None = caught.value
        while error is not None:
            said += f"{error!r} {error} {vars(error)}"
            error = error.__cause__ or error.__context__
        lying.lies = {}
        await view.await_writes(wait_timeout=60)
    assert "UnexpectedAnswerError" in said
    assert not [secret for secret in hidden if secret in said]
    # How many there are; ids of mutations may have these digits by chance.
    assert not re.search(r"\b140\b", said)
    # The store itself is told.
    lying.lies = {where: told_so}
    with pytest.raises(UnexpectedAnswerError, match=r"GetByIds|ListVectors"):
        await call(store, "count", namespace="theirs", precision="high")


INFOS: dict[str, Any] = {
    "a number for the mutation": {"processedUpToMutation": 7},
    "an empty mutation": {"processedUpToMutation": ""},
    "no time": {"processedUpToDatetime": "soon"},
    "a count in words": {"vectorCount": "seventy"},
    "half a vector": {"vectorCount": 0.5},
    "no dimensions": {"dimensions": True},
}


@both_ways
@both_stores
@pytest.mark.parametrize("change", INFOS.values(), ids=INFOS)
@pytest.mark.covering(1)
async def test_a_wait_raises_what_is_wrong_with_the_state_of_the_index(
    kind: Kind, call: Call, client: VectorizeClient, lying: Lying, change: Any
) -> None:
    store = await filled(kind, call, client)
    lying.lies["info"] = lambda result, _: {**result, **change}
    # The same once more: nothing but the state tells whether reads see it.
    with pytest.raises(UnexpectedAnswerError, match=rf"^GetInfo\(docs\): .*{next(iter(change))}"):
        await kind.add_rows(call, store, ROWS, wait=True)


@both_ways
@both_stores
@pytest.mark.parametrize("kind_of_index", ["date", 1, None, ["number"]])
@pytest.mark.covering(1)
async def test_an_unknown_type_of_a_metadata_index_is_an_error(
    kind: Kind, call: Call, client: VectorizeClient, lying: Lying, kind_of_index: Any
) -> None:
    store = await filled(kind, call, client, metadata_indexes={"half": "number"})

    def lie(result: Any, request: httpx.Request) -> Any:
        if "metadataIndexes" in result:
            result["metadataIndexes"][0]["indexType"] = kind_of_index
        return result

    lying.lies["list"] = lie
    with pytest.raises(UnexpectedAnswerError, match=r"metadataIndexes\[0\].indexType is "):
        await kind.delete_where(call, store, "half", 1)
    assert client.index("docs").info().vector_count == len(ROWS)
