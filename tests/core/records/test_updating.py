"""Updates of metadata: keys that are taken out of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.records.stores import item, store_of
from vectorize_core import InvalidInputError, VectorizeClient
from vectorize_core.layout import Record
from vectorize_core.records import updating
from vectorize_core.records.item import Item
from vectorize_core.records.reading import count
from vectorize_core.transport.io import run


@pytest.mark.parametrize("bound", [False, True])
def test_keys_are_taken_out_of_metadata_before_others_are_merged_into_it(bound: bool) -> None:
    with VectorizeClient.local() as client:
        made, io = store_of(client), client.connection.io()
        store = made.with_namespace("one") if bound else made
        other = made.with_namespace("other")
        odd: dict[Any, Any] = {"a.b": 1, "a": {"b": 2, "c": 3}, 5: "five", "none": None, "year": 1}
        run(store.add(io, [Item(Record("1", "apple", odd)), item("2", "pear", year=2)]))
        run(other.add(io, [item("1", "apple", year=1)]))
        found = run(
            updating.update_metadata(
                io, store, ["2", "gone", "1"], {"new": 1}, remove=["a.b", 5, "none", "year", "?"]
            )
        )
        assert found == ["2", "1"]
        first, second = run(store.get(io, ["1", "2"]))
        assert (first.metadata, second.metadata) == (
            {"a": {"b": 2, "c": 3}, "new": 1},
            {"new": 1},
        )
        assert run(updating.update_metadata(io, store, ["1"], {"a": 5}, remove=["a"])) == ["1"]
        assert run(updating.update_metadata(io, store, ["1"], remove=["new"])) == ["1"]
        (first,) = run(store.get(io, ["1"]))
        assert (first.text, first.metadata) == ("apple", {"a": 5})
        # No filter finds what is gone; the other tenant's is of the store, too.
        assert run(count(io, store, filter={"year": {"$gt": 0}})) == (0 if bound else 1)
        (untouched,) = run(other.get(io, ["1"]))
        assert untouched.metadata == {"year": 1}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "takes metadata, or keys to remove"),
        ({"remove": []}, "takes metadata, or keys to remove"),
        ({"changes": {"a": 1}, "remove": ["a"], "replace": True}, "nothing of the old metadata"),
        ({"remove": "abc"}, "remove is an iterable of keys; got one string"),
        ({"remove": None}, "remove is an iterable of keys; got None"),
        ({"remove": ["a", ["b"]]}, r"remove\[1\] is a key of metadata; got .*list"),
    ],
)
def test_what_removes_nothing_is_refused(given: dict[str, Any], said: str) -> None:
    with VectorizeClient.local() as client:
        store, io = store_of(client), client.connection.io()
        with pytest.raises(InvalidInputError, match=said):
            run(updating.update_metadata(io, store, ["1"], **given))
