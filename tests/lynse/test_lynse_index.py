"""What an index on LynseDB is told, refuses, and says when the server has lost something."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kinds import LANGCHAIN
from tests.lynse.servers import KEY, Lynse
from vectorize_core import (
    BadRequestError,
    ConfigurationError,
    Index,
    IndexDamagedError,
    IndexExistsError,
    IndexNotFoundError,
    PartialWriteError,
    UnindexedPropertyError,
    Vector,
    scoring,
)
from vectorize_core.lynse import Item, LynseClient, rows
from vectorize_core.models import METRICS, Metric

ONES = np.ones(32, np.float32)


@pytest.fixture
def made(lynse: LynseClient) -> LynseClient:
    lynse.indexes().create_index(
        "docs", dimensions=32, metric="cosine", metadata_indexes={"lang": "string"}
    )
    return lynse


def test_an_index_is_made_listed_and_deleted(made: LynseClient) -> None:
    indexes = made.indexes()
    (details,) = indexes.list_indexes()
    assert (details.name, details.config.metric) == ("docs", "cosine")
    assert indexes.get_index("docs") == details
    with pytest.raises(IndexExistsError):
        indexes.create_index("docs", dimensions=32, metric="cosine")
    names = [one.property_name for one in made.index("docs").list_metadata_indexes()]
    assert "lang" in names
    indexes.delete_index("docs")
    assert indexes.list_indexes() == ()


@pytest.mark.parametrize("by", ["upsert", "delete"])
def test_own_writes_that_another_client_has_undone_are_not_waited_for(
    made: LynseClient, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LYNSE_API_KEY", KEY)
    index = made.index("docs")
    index.upsert([Vector("a", ONES)])
    with pickle.loads(pickle.dumps(made)) as theirs:
        other = theirs.index("docs")
        began = time.monotonic()
        _ = other.delete(["a"]) if by == "delete" else other.upsert([Vector("a", 2 * ONES)])
        index.wait()
    # What nobody tells takes ten seconds elsewhere.
    assert time.monotonic() - began < 5


def test_a_look_never_makes_an_index(lynse: LynseClient) -> None:
    index = lynse.index("ghost")
    for call in (
        index.info,
        lambda: index.get(["a"]),
        lambda: index.query(ONES, top_k=1),
        lambda: index.upsert([Vector("a", ONES)]),
        lambda: index.delete(["a"]),
        lambda: [*index.list_ids()],
    ):
        with pytest.raises(IndexNotFoundError):
            call()
    assert lynse.database(str(lynse._database)).show_collections() == ()


def test_a_metadata_index_comes_before_the_first_record(made: LynseClient) -> None:
    index = made.index("docs")
    index.create_metadata_index("year", "number")
    index.upsert([Vector("a", ONES, None, {"year": 1999, "lang": "en"})])
    with pytest.raises(BadRequestError, match="create another index with them, and copy"):
        index.create_metadata_index("late", "string")
    assert [one.id for one in index.query(ONES, top_k=3, filter={"year": {"$gt": 1998}})] == ["a"]
    with pytest.raises(UnindexedPropertyError, match="create another index with it in metadata_in"):
        index.query(ONES, top_k=3, filter={"late": "x"})
    with pytest.raises(ConfigurationError, match="create another index with it in metadata_in"):
        LANGCHAIN.over(made, metadata_indexes={"late": "string"}).add_texts(["a"])


def test_other_collections_are_no_indexes(lynse: LynseClient) -> None:
    lynse.collection("plain").required_collection(dim=32)
    with pytest.raises(ConfigurationError, match="'plain' is no index"):
        lynse.index("plain").info()
    assert lynse.indexes().list_indexes() == ()


def test_old_servers_have_no_indexes(old_lynse: Lynse) -> None:
    with (
        LynseClient(old_lynse.url, database="app", api_key=KEY) as client,
        pytest.raises(
            ConfigurationError, match=r"need a server of LynseDB 0\.9, and this is LynseDB 0\.3"
        ),
    ):
        client.indexes().list_indexes()


def test_a_row_that_is_none_of_ours_is_damage(made: LynseClient) -> None:
    index = made.index("docs")
    index.upsert([Vector("a", ONES)])
    made.collection("docs").bulk_add_items([Item("foreign", ONES, {"doc": rows.key("a")})])
    with pytest.raises(IndexDamagedError, match="'foreign', which is none of an index"):
        index.get(["a"])


HOSTILE = [
    *(
        "' OR '1'='1",
        "'; DROP TABLE fields_v2; --",
        '" OR ""="',
        "a#1",
        "#",
        "x#00",
        "\\",
        "%",
        "_",
    ),
    *(
        "\u0000",
        "\u202e",
        "日本",
        "😀",
        "null",
        "true",
        "1e5",
        "[1]",
        '{"a":1}',
        "-",
        "x",
        "J{}",
        "(",
    ),
    *("a" * 64, "é" * 32, " ", "\n", "\t", "/*", "*/", "$where", ")" * 40, "(" * 40),
]


def test_hostile_texts_are_only_texts(made: LynseClient) -> None:
    index = made.index("docs")
    records = [
        Vector(text, ONES, text[:60] if len(text.encode()) <= 64 else None, {"lang": text})
        for text in HOSTILE
    ]
    index.upsert(records)
    assert list(index.get(HOSTILE)) == records
    for record in records:
        found = index.query(ONES, top_k=5, namespace=record.namespace, filter={"lang": record.id})
        assert [one.id for one in found] == [record.id]
    index.delete(HOSTILE[::2])
    assert sorted(index.list_ids()) == sorted(HOSTILE[1::2])
    assert made.collection("docs").stats().n_vectors == len(HOSTILE) + len(HOSTILE[::2])


async def test_it_is_the_same_index_for_threads_and_event_loops(made: LynseClient) -> None:
    index = made.index("docs")
    other = made.to_async().index("docs")
    await asyncio.gather(
        *(other.upsert([Vector(f"a{n}", ONES)]) for n in range(10)),
        *(asyncio.to_thread(index.upsert, [Vector(f"b{n}", ONES)]) for n in range(10)),
    )
    assert (await other.info()).vector_count == 20


def test_a_client_of_indexes_pickles(made: LynseClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LYNSE_API_KEY", KEY)
    made.index("docs").upsert([Vector("a", ONES)])
    with pickle.loads(pickle.dumps(made)) as copied:
        assert [*copied.index("docs").list_ids()] == ["a"]
        connection = pickle.loads(pickle.dumps(made.connection))
        assert [*Index(connection, "docs").list_ids()] == ["a"]
        connection.close()


FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(FLOATS, min_size=2, max_size=2))
def test_keys_of_numbers_are_in_their_order(pair: list[float]) -> None:
    one, two = pair
    assert (rows.key(one) < rows.key(two)) == (one < two)
    assert (rows.key(one) == rows.key(two)) == (one == two)


@given(st.text(max_size=8), st.text(max_size=8))
def test_keys_of_texts_are_in_their_order(one: str, two: str) -> None:
    if not any("\ud800" <= letter <= "\udfff" for letter in one + two):
        assert (rows.key(one) < rows.key(two)) == (one < two)
        assert rows.key(one) > rows.MISSING
        assert rows.key(one)[1:] == "" or rows.key(one)[1:].isalnum()


@given(st.text(min_size=1, max_size=12), st.integers(0, 10**6))
def test_the_name_of_a_row_is_read_back(vector_id: str, version: int) -> None:
    assert rows.split(rows.row_id(vector_id, version)) == (vector_id, version)


def test_compaction_removes_only_what_was_deleted(made: LynseClient) -> None:
    index, raw = made.index("docs"), made.collection("docs")
    index.upsert([Vector(f"a{n}", ONES) for n in range(10)])
    index.upsert([Vector(f"a{n}", -ONES) for n in range(5)])
    index.delete(["a0", "a9"])
    raw.checkpoint()
    assert raw.compact() == 9
    raw.checkpoint()
    assert index.info().vector_count == 8
    index.upsert([Vector("a0", ONES)])
    found = {one.id: one.values for one in index.get([f"a{n}" for n in range(10)])}
    assert sorted(found) == [f"a{n}" for n in range(9)]
    assert [found[f"a{n}"].sum() for n in range(9)] == [32, -32, -32, -32, -32, 32, 32, 32, 32]


@pytest.mark.parametrize("scale", [1e18, 1e-18])
def test_vectors_that_a_server_cannot_compare_are_refused(made: LynseClient, scale: float) -> None:
    index = made.index("docs")
    with pytest.raises(PartialWriteError, match="'a' has the length") as raised:
        index.upsert([Vector("a", ONES * scale), Vector("b", ONES)])
    assert isinstance(raised.value.causes[0], BadRequestError)
    with pytest.raises(BadRequestError, match="the query vector has the length"):
        index.query(ONES * scale, top_k=1)
    index.upsert([Vector("zero", 0 * ONES)])
    assert {one.id for one in index.query(ONES, top_k=9)} == {"b", "zero"}


@pytest.mark.parametrize("metric", METRICS)
def test_vectors_of_all_lengths_that_are_taken_are_compared(
    lynse: LynseClient, metric: Metric
) -> None:
    lynse.indexes().create_index("docs", dimensions=32, metric=metric)
    index, lengths = lynse.index("docs"), (1.6e-15, 1e-9, 1.0, 1e9, 9e14)
    one, other = np.eye(32)[:2]
    for length in lengths:
        stored = np.array([one, other, one + other, -one]) * length / 1.5
        index.upsert([Vector(f"r{n}", row.astype(np.float32)) for n, row in enumerate(stored)])
        for asked in lengths:
            query = (asked / 1.5 * (one + 0.2 * other)).astype(np.float32)
            wanted = scoring.scores(metric, stored, query.astype(np.float64))
            found = {match.id: match.score for match in index.query(query, top_k=4)}
            got = np.array([found[f"r{n}"] for n in range(4)], np.float64)
            assert np.abs(got - wanted).max() <= 1e-6 * np.abs(wanted).max(), (length, asked)


def test_a_listing_goes_on_while_others_write(made: LynseClient) -> None:
    index = made.index("docs")
    stopped = threading.Event()

    def write() -> None:
        for n in count():
            made.index("docs").upsert([Vector(f"w{n % 50}", ONES)])
            if stopped.is_set():
                return

    index.upsert([Vector(f"a{n}", ONES) for n in range(50)])
    with ThreadPoolExecutor() as pool:
        writer = pool.submit(write)
        try:
            for _ in range(10):
                assert {f"a{n}" for n in range(50)} <= {*index.list_ids()}
        finally:
            stopped.set()
        writer.result()
