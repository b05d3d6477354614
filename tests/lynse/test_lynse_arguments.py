"""Whatever the calls of a collection are given, they are carried out, or refused in our words."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, Final, get_type_hints

import httpx
import numpy as np
import pytest

from vectorize_core import ConfigurationError, VectorizeError
from vectorize_core.lynse import AsyncLynseClient, Item, LynseClient, LynseCollection, SparseVector
from vectorize_core.lynse.dialect import NEWEST
from vectorize_core.lynse.options import FindOptions, HybridOptions, SearchOptions, TextOptions

SPARSE: Final = SparseVector([1], [1.0])
GOOD: Final[dict[str, Any]] = {
    "vector": [1.0],
    "vectors": [[1.0]],
    "ids": ["a"],
    "id": "a",
    "text": "a",
    "field_name": "f",
    "dimension": 1,
    "threshold": 1.0,
    "description": "d",
    "items": [Item("a", [1.0])],
    "snapshot_path": "/x",
    "export_path": "/x",
}
OF_SPARSE: Final[dict[str, dict[str, Any]]] = {
    "sparse_search": {"vector": SPARSE},
    "add_sparse_vectors": {"vectors": [SPARSE]},
}
OPTIONS: Final[dict[str, Any]] = {
    "search": SearchOptions,
    "hybrid_search": HybridOptions,
    "text_search": TextOptions,
    "sparse_search": TextOptions,
    **dict.fromkeys(("search_binary", "search_profile"), FindOptions),
    **dict.fromkeys(("batch_search", "batch_search_binary"), FindOptions),
}


def anything() -> Iterator[Any]:
    """What may be given for an argument, and is seldom right."""
    wrong: Any = None
    yield from (None, 5, -1, 10**400, True, object(), b"x", "s", "\ud800", "a\0", [], {}, [None])
    yield from (float("nan"), float("inf"), np.float16(1), np.float32(2), np.array(3))
    yield from ([[None]], [float("nan")], ["a", ["b"]], {"a": object()}, {1: 2}, iter("ab"))
    yield from (np.array(["a"]), np.array([[1.0, np.inf]]), np.array([object()]), np.str_("x"))
    for one in (wrong, [wrong], 5, ["a"], [0.5]):
        yield from (SparseVector(one, [1.0]), SparseVector([1], one), [SparseVector(one, one)])
    yield from ([Item("a", wrong)], [Item(wrong, [1.0])], [Item("a", [1.0], {wrong: {}})])


class SentError(Exception):
    """A request was made, and goes no further."""


def answer(request: httpx.Request) -> httpx.Response:
    if request.url.path != "/openapi.json":
        raise SentError
    paths = NEWEST.paths | {"/restore_collection", "/import_collection"}
    document = {"info": {"version": "0.9.0"}, "paths": {path: {} for path in paths}}
    return httpx.Response(200, json=document)


def test_a_client_needs_an_address() -> None:
    for make in (LynseClient, AsyncLynseClient):
        with pytest.raises(ConfigurationError, match="base_url is the address of a LynseDB"):
            make(None)  # type: ignore[arg-type]


CALLS: Final = [name for name in vars(LynseCollection) if not name.startswith("_")]


@pytest.mark.parametrize("name", CALLS)
def test_no_argument_is_a_bare_error(name: str) -> None:
    client = LynseClient("http://host", database="app", transport=httpx.MockTransport(answer))
    call = getattr(client.collection("items"), name)
    given: dict[str, Any] = {**GOOD, **OF_SPARSE.get(name, {})}
    named = [
        one for one in inspect.signature(call).parameters.values() if one.kind != one.VAR_KEYWORD
    ]
    needed = {one.name: given[one.name] for one in named if one.default is one.empty}
    with pytest.raises(SentError):
        call(**needed)
    optional = get_type_hints(OPTIONS[name]) if name in OPTIONS else ()
    for argument in (*(one.name for one in named), *optional):
        for value in anything():
            with pytest.raises((VectorizeError, SentError)):
                call(**{**needed, argument: value})
