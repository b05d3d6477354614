"""The sync and the async half are the same interface, and importing it is cheap."""

from __future__ import annotations

import inspect
import subprocess
import sys
import threading
from typing import Any

import pytest

from tests.core.helpers import Variant, both_variants, settled
from vectorize_core import (
    AsyncIndex,
    AsyncVectorizeClient,
    Index,
    VectorizeClient,
    VectorizeError,
)

PAIRS = [(VectorizeClient, AsyncVectorizeClient), (Index, AsyncIndex)]
ASYNC_NAMES = {
    "close": "aclose",
    "to_async": "to_sync",
    "__enter__": "__aenter__",
    "__exit__": "__aexit__",
}
ONLY_ASYNC = {"from_binding"}
"""What makes a client of something that can only be awaited."""
NOT_AWAITED = {*ONLY_ASYNC, "index", "list_ids", "to_async", "to_sync", "iter", "iter_ids"}
pairs = pytest.mark.parametrize(("sync_class", "async_class"), PAIRS, ids=lambda c: c.__name__)


def methods(cls: type) -> dict[str, Any]:
    return {
        name: member
        for name, member in inspect.getmembers(cls, callable)
        if (not name.startswith("_") or name in {*ASYNC_NAMES, *ASYNC_NAMES.values(), "__init__"})
    }


def signature(method: Any) -> list[tuple[str, Any, Any]]:
    parameters = inspect.signature(method).parameters.values()
    return [(p.name, p.kind, p.default) for p in parameters]


@pairs
def test_both_variants_have_the_same_methods(sync_class: type, async_class: type) -> None:
    names = {ASYNC_NAMES.get(name, name) for name in methods(sync_class)}
    assert names == set(methods(async_class)) - ONLY_ASYNC


@pairs
def test_both_variants_take_the_same_arguments(sync_class: type, async_class: type) -> None:
    there = methods(async_class)
    for name, method in methods(sync_class).items():
        assert signature(method) == signature(there[ASYNC_NAMES.get(name, name)]), name


@pairs
def test_both_variants_take_the_same_options(sync_class: type, async_class: type) -> None:
    there = methods(async_class)
    for name, method in methods(sync_class).items():
        options = method.__annotations__.get("options")
        assert options == there[ASYNC_NAMES.get(name, name)].__annotations__.get("options"), name


@pairs
def test_both_variants_have_the_same_properties(sync_class: type, async_class: type) -> None:
    def properties(cls: type) -> set[str]:
        return {name for name, _ in inspect.getmembers(cls, lambda m: isinstance(m, property))}

    assert properties(sync_class) == properties(async_class)


@pairs
def test_what_does_work_is_awaited(sync_class: type, async_class: type) -> None:
    for name, method in methods(async_class).items():
        if name in vars(async_class) and name not in {"__init__", *NOT_AWAITED}:
            assert inspect.iscoroutinefunction(method), name
    for name, method in methods(sync_class).items():
        assert not inspect.iscoroutinefunction(method), name


@pairs
def test_every_public_method_is_described(sync_class: type, async_class: type) -> None:
    for cls in (sync_class, async_class):
        for name, method in methods(cls).items():
            if not name.startswith("_"):
                assert inspect.getdoc(method), f"{cls.__name__}.{name}"


def test_importing_the_core_loads_little() -> None:
    program = """
import sys
import vectorize_core
unwanted = ("sqlite3", "_sqlite3", "vectorize_core.local", "langchain", "langchain_core",
            "llama_index", "langchain_vectorize", "llama_index_vectorize")
print([n for n in sys.modules if n in unwanted or n.startswith(tuple(u + "." for u in unwanted))])
vectorize_core.VectorizeClient("account", "token")
assert "vectorize_core.local" not in sys.modules
vectorize_core.VectorizeClient.local().close()
assert "vectorize_core.local" in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


@both_variants
async def test_a_closed_embedded_client_leaves_no_thread(
    variant: Variant,
) -> None:
    before = set(threading.enumerate())

    def threads() -> list[str]:
        # Those that do what event loops offload are of the process, and end when they are idle.
        shared = "vectorize-offloaded"
        names = [thread.name for thread in set(threading.enumerate()) - before]
        return [name for name in names if name.startswith("vectorize") and name != shared]

    client: Any = variant.client_class.local()
    await settled(client.create_index("docs", dimensions=32, record_layout=False))
    assert threads() or variant.name == "sync"
    await variant.close(client)
    for use in (client.list_indexes, client.index("docs").info):
        with pytest.raises(VectorizeError, match="closed"):
            await settled(use())
    assert threads() == []
    await variant.close(client)


async def test_both_variants_of_one_connection_see_the_same_embedded_data() -> None:
    with VectorizeClient.local() as client:
        client.create_index("docs", dimensions=32, record_layout=False)
        found = await AsyncIndex(client.connection, "docs").details()
        assert found == client.get_index("docs")
