"""What a LynseDB would misread is refused before anything is sent."""

from __future__ import annotations

import pickle
from typing import Any

import httpx
import numpy as np
import pytest

from vectorize_core import ConfigurationError, InvalidInputError, UnsupportedCallError
from vectorize_core.lynse import Item, LynseClient, LynseCollection, SparseVector
from vectorize_core.lynse.dialect import COORDINATOR, NEWEST, Dialect
from vectorize_core.lynse.operations.collections import RequiredCollection, UpdateDescription
from vectorize_core.lynse.operations.indexes import BuildIndex, BuildVectorFieldIndex
from vectorize_core.lynse.operations.records import BulkAddItems, DeleteItems
from vectorize_core.lynse.operations.search import HybridSearch, TextSearch
from vectorize_core.lynse.operations.snapshots import RestoreCollection, SnapshotCollection
from vectorize_core.lynse.operations.vector_fields import CreateVectorField

OLD = Dialect("0.3.0", frozenset({"/bulk_add_items", "/delete_items"}))


def unsent(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"{request.url} was sent")


@pytest.fixture
def collection() -> LynseCollection:
    client = LynseClient("http://host", database="app", transport=httpx.MockTransport(unsent))
    return client.collection("items")


NAN = [float("nan"), 1.0]
ROWS: list[dict[str, Any] | None] = [{"a": 1}] * 11


@pytest.mark.parametrize(
    ("method", "args", "options", "said"),
    [
        ("build_index", ["FLAT-IP", 8], {}, "n_clusters goes with modes of IVF only"),
        ("build_index", ["IVF-IP", 0], {}, "n_clusters is at least 1"),
        ("build_vector_field_index", ["f", "HNSW-L2", 8], {}, "n_clusters goes with modes of IVF"),
        ("build_vector_field_index", ["a.b"], {}, "field_name is made of the letters"),
        ("create_vector_field", ["f", 0], {}, "dimension is at least 1"),
        (
            "hybrid_search",
            [[1.0], "x", None, "mean"],
            {},
            "fusion is 'rrf' or 'weighted'; got 'mea",
        ),
        ("hybrid_search", [[1.0], "x"], {"vector_weight": -1}, "vector_weight is a number"),
        ("query", ["n = 1", ["a"]], {}, "where and filter_ids exclude each other"),
        ("query_vectors", ["n = 1", ["a"]], {}, "where and filter_ids exclude each other"),
        ("query", ["  "], {}, "where is a condition or None; got an empty text"),
        ("query", ["(" * 33 + "n = 1" + ")" * 33], {}, "33 parentheses within each other"),
        ("search", [NAN], {}, "vector has a value that is NaN or infinite"),
        ("search", [[1e39]], {}, "vector has a value that is NaN or infinite"),
        ("search", [[1.0], 10_001], {}, "k is at most 10000; got 10001"),
        ("search", [[1.0], -1], {}, "k is not negative"),
        ("search", [[1.0]], {"nprobe": 0}, "nprobe is at least 1"),
        ("search", [[1.0]], {"field_name": ""}, "field_name is made of"),
        ("search", [[1.0]], {"return_fields": "no"}, "return_fields is True or False"),
        ("batch_search", [[[1.0], NAN[:1]]], {}, r"vectors\[1\] has a value that is NaN"),
        ("search_binary", [NAN], {}, "vector has a value that is NaN"),
        ("batch_search_binary", [[[1.0], [1.0, 2.0]]], {}, r"vectors\[1\] has 2 dimensions"),
        ("search_range", [[1.0], float("nan")], {}, "threshold is a number"),
        ("search_range", [[1.0], float("inf")], {}, "threshold is a finite number; got inf"),
        ("search_range", [[1.0], -np.float32("inf")], {}, "threshold is a finite number"),
        ("search_range", [[1.0], 10**400], {}, "threshold is a number"),
        ("search", [[1.0]], {"eps": float("nan")}, "eps is a number"),
        ("search", [[1.0]], {"eps": float("inf")}, "eps is a finite number"),
        ("search", [[1.0]], {"approx": "no"}, "approx is True or False"),
        ("search_range", [[1.0], 1.0], {"max_results": 10_001}, "max_results is at most 10000"),
        ("text_search", ["x", "text"], {}, "text_fields is an iterable of text_fields; got one"),
        ("sparse_search", [SparseVector([1, 1], [1, 2])], {}, "at 1 different indices of 2"),
        ("sparse_search", [SparseVector([2**32], [1])], {}, r"indices\[0\] is at most 4294967295"),
        ("sparse_search", [{1: 2.0}], {}, "vector is a SparseVector"),
        ("head", [10_001], {}, "n is at most 10000"),
        ("add_item", [NAN], {"id": "a"}, r"vectors\[0\] has a value that is NaN"),
        ("add_item", [[1.0]], {"id": ""}, r"ids\[0\] is a string that is not empty"),
        ("add_item", [[1.0]], {"id": -1}, "whole number from 0 to"),
        ("add_item", [[1.0]], {"id": True}, "whole number from 0 to"),
        ("add_item", [[1.0]], {"id": "a", "field": {"x": float("inf")}}, r"fields\[0\] holds "),
        ("add_item", [[1.0]], {"id": "a", "field": {"_id": 1}}, r"fields\[0\]\['_id'\] would be"),
        ("add_item", [[1.0]], {"id": "a", "field": {"": 1}}, r"fields\[0\] has an empty key"),
        ("bulk_add_items", [[Item("a", [1.0], {"a": 1, "": 1})]], {}, "has an empty key"),
        ("bulk_add_items", [[Item("a", [1.0]), Item("a", [2.0])]], {}, "ids holds 'a' twice"),
        ("bulk_add_items", [[("a", [1.0])]], {}, r"items\[0\] is an Item"),
        ("upsert_items", [["a"], [[1.0], [2.0]]], {}, "there are 2 vectors, but 1 ids"),
        ("upsert_items", [["a"], [[1.0]], []], {}, "there are 0 fields, but 1 ids"),
        (
            "upsert_items",
            [[*range(11)], np.ones((11, 2)), [*ROWS[:10], {"a": 1, "b": 2}]],
            {},
            r"fields\[10\] is the first with the key 'b'",
        ),
        ("delete_items", ["abc"], {}, "ids is a list of ids; got 'abc'"),
        ("bulk_add_binary", [np.ones((100_001, 1))], {}, "100,001 rows; LynseDB takes 100,000"),
        ("required_collection", [], {"dim": 0}, "dim is at least 1"),
        ("snapshot_collection", [b"/x"], {}, "snapshot_path is a string"),
    ],
)
def test_a_call_is_refused_before_it_is_sent(
    collection: LynseCollection, method: str, args: list[Any], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidInputError, match=said):
        getattr(collection, method)(*args, **options)


TEXTS: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("required_collection", [], {"description": "?"}),
    ("update_description", ["?"], {}),
    ("build_index", ["?"], {}),
    ("build_vector_field_index", ["f", "?"], {}),
    ("create_vector_field", ["f", 1, "?"], {}),
    ("create_vector_field", ["f", 1, "ip", "?"], {}),
    ("text_search", ["?"], {}),
    ("text_search", ["x", ["?"]], {}),
    ("hybrid_search", [[1.0], "?"], {}),
    ("hybrid_search", [[1.0], "x", ["?"]], {}),
    ("hybrid_search", [[1.0], "x", None, "?"], {}),
    *((name, [[1.0]], {"where": "?"}) for name in ("search", "search_binary", "search_profile")),
    *((name, [[[1.0]]], {"where": "?"}) for name in ("batch_search", "batch_search_binary")),
    *((name, ["?"], {}) for name in ("query", "query_vectors", "snapshot_collection")),
    *((name, ["?"], {}) for name in ("restore_collection", "export_collection")),
    ("import_collection", ["?"], {}),
    ("add_item", [[1.0]], {"id": "?"}),
    ("add_item", [[1.0]], {"id": "a", "field": {"a": ["?"]}}),
    ("delete_items", [["?"]], {}),
    ("read_by_only_id", ["?"], {}),
    ("is_id_exists", ["?"], {}),
]


def having(text: str, given: Any) -> Any:
    """What is given, with a text in the place of each "?"."""
    if isinstance(given, list):
        return [having(text, one) for one in given]
    if isinstance(given, dict):
        return {name: having(text, one) for name, one in given.items()}
    return text if given == "?" else given


@pytest.mark.parametrize(("method", "args", "options"), TEXTS)
def test_a_text_that_cannot_be_sent_is_refused(
    collection: LynseCollection, method: str, args: list[Any], options: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInputError):
        getattr(collection, method)(*having("a\ud800", args), **having("a\ud800", options))


@pytest.mark.parametrize("kind", [str, np.str_])
def test_a_text_of_any_kind_is_sent(kind: type[str]) -> None:
    place = (kind("app"), kind("items"))
    made = [
        BuildIndex(*place, kind("FLAT-IP")),
        BuildVectorFieldIndex(*place, kind("f"), kind("FLAT-IP")),
        CreateVectorField(*place, kind("f"), 1, kind("ip"), kind("FLAT-IP")),
        RequiredCollection(*place, description=kind("d")),
        UpdateDescription(*place, kind("d")),
        TextSearch(*place, kind("x"), [kind("f")], where=kind("f = 1")),
        HybridSearch(*place, [1.0], kind("x"), fusion=kind("rrf")),
        SnapshotCollection(*place, kind("/x")),
    ]
    for op in made:
        assert b'"app"' in b"".join(op.request_for(NEWEST).body)


@pytest.mark.parametrize("name", ["", "a b", "a/b", ".", "..", "a.", "a..b", "ü", "x" * 129])
def test_names_that_are_no_directory_of_their_own_are_refused(name: str) -> None:
    client = LynseClient("http://host", database="app")
    with pytest.raises(InvalidInputError, match="the name of a collection has 1 to 128"):
        client.collection(name)
    with pytest.raises(InvalidInputError, match="the name of a database has 1 to 128"):
        client.database(name)
    with pytest.raises(InvalidInputError, match="the name of a database has 1 to 128"):
        LynseClient("http://host", database=name)


def test_a_collection_needs_a_database() -> None:
    client = LynseClient("http://host")
    with pytest.raises(ConfigurationError, match="give database= here or to the client"):
        client.collection("items")
    assert repr(client.collection("items", database="b")) == "LynseCollection('b', 'items')"


def test_what_a_server_lacks_is_an_error_that_names_its_version() -> None:
    place = ("app", "items")
    with pytest.raises(UnsupportedCallError, match=r"LynseDB 0\.3\.0 has no /text_search"):
        TextSearch(*place, "word").request_for(OLD)
    with pytest.raises(UnsupportedCallError, match="a coordinator of LynseDB has no /restore_coll"):
        RestoreCollection(*place, "/x").request_for(COORDINATOR)
    with pytest.raises(UnsupportedCallError, match=r"LynseDB 0\.3\.0 takes whole numbers up"):
        DeleteItems(*place, ["a"]).request_for(OLD)
    with pytest.raises(UnsupportedCallError, match=r"numbers up to 2\*\*63 - 1 as ids"):
        BulkAddItems(*place, [2**63], [[1.0]]).request_for(OLD)


def test_calls_have_the_names_of_the_server() -> None:
    place = ("app", "items")
    assert TextSearch(*place, "word").request_for(COORDINATOR).path == "/bm25_search"
    described = UpdateDescription(*place, "d")
    assert described.request_for(COORDINATOR).path == "/update_collection_description"
    assert described.request_for(NEWEST).path == "/update_description"
    add = BulkAddItems(*place, [1], [[0.5]], [{"n": 1}])
    here = b'{"database_name":"app","collection_name":"items",'
    old, new = add.request_for(OLD), add.request_for(NEWEST)
    assert (old.path, new.path) == ("/bulk_add_items", "/add")
    assert b"".join(old.body) == here + b'"items":[{"id":1,"vector":[0.5],"field":{"n":1}}]}'
    assert b"".join(new.body) == here + b'"ids":[1],"vectors":[[0.5]],"fields":[{"n":1}]}'


def test_a_client_pickles_without_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LYNSE_API_KEY", raising=False)
    client = LynseClient("http://host:7637/", database="app", api_key="a-secret-key")
    pickled = pickle.dumps(client)
    assert b"secret" not in pickled
    copied = pickle.loads(pickled)
    assert repr(copied) == repr(client) == "LynseClient(LynseDB at http://host:7637)"
    assert repr(copied.collection("items")) == "LynseCollection('app', 'items')"


@pytest.mark.parametrize(
    ("url", "key", "said"),
    [
        ("host:7637", None, "base_url must be an http or https address, such as http://127"),
        ("http://a:pass-word@host", None, "must not hold a user or password.*use api_key="),
        ("http://host", "two words", "the API key has a space.*it comes from api_key="),
    ],
)
def test_addresses_and_keys_that_cannot_be_used(url: str, key: str | None, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as raised:
        LynseClient(url, api_key=key)
    assert "pass-word" not in str(raised.value)
    assert "two words" not in str(raised.value)


def test_a_wrong_keyword_is_an_error_that_names_the_right_one(collection: LynseCollection) -> None:
    with pytest.raises(TypeError, match="did you mean 'where'"):
        collection.search([1.0], filter="n = 1")  # type: ignore[call-arg]
