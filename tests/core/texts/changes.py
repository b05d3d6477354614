"""What is done to a record that has a row in a text index. No framework is loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.core.records.stores import item
from vectorize_core.records import updating
from vectorize_core.records.deleting import clear, delete
from vectorize_core.records.store import RecordStore
from vectorize_core.transport.io import run

OLD, NEW = "the old apple", "the new pear"
Seen = dict[str, tuple[str, int]]


def add(store: RecordStore, text: str | None, year: int, record_id: str = "a") -> None:
    run(store.add(store.connection.io(), [item(record_id, text, year=year)]))


# What is done to the record `a`, and what there is then.
ACTIONS: Final[dict[str, tuple[Callable[[RecordStore], None], Seen]]] = {
    "add": (lambda store: add(store, NEW, 2), {"a": (NEW, 2)}),
    "update": (lambda store: add(store, NEW, 2), {"a": (NEW, 2)}),
    "update_metadata": (
        lambda store: _ignore(
            run(updating.update_metadata(store.connection.io(), store, ["a"], {"year": 2}))
        ),
        {"a": (OLD, 2)},
    ),
    "delete": (lambda store: run(delete(store.connection.io(), store, ["a"])), {}),
    "clear": (lambda store: run(clear(store.connection.io(), store)), {}),
}


def _ignore(_: object) -> None: ...
