"""Run in Pyodide by pyodide.mjs, where ``env`` has a binding for each index, and ``DB``.

``tried`` is "core", "langchain", "llama_index", or a folder of examples with a Worker. Prints a
line for each thing that works, and one with ``FAILED`` for each that does not; the last expression
is the code that the process ends with.
"""

import importlib
import importlib.util
import inspect
import json
import sys
import traceback
import types
import uuid
from contextlib import contextmanager

ABSENT = {"httpx", "httpcore", "sqlite3", "simsimd", "ssl"}
failures = []
# Of the packages beside this one, those that are compiled are of another platform.
sys.modules["psutil"] = None


def stand_in(name, **contents):
    """A module in place of one that is not there for this Pyodide."""
    module = types.ModuleType(name)
    vars(module).update(contents)
    sys.modules[name] = module


async def carry_out(name, awaited):
    try:
        await awaited
    except Exception:
        failures.append(name)
        sys.stdout.write(f"FAILED {name}\n{traceback.format_exc()}")
    else:
        sys.stdout.write(f"passed {name}\n")


@contextmanager
def raises(kind, *said):
    """As that of pytest, which is not there for every Pyodide."""
    try:
        yield
    except kind as error:
        if not all(word in str(error) for word in said):
            raise AssertionError(f"says: {error}") from error
    else:
        raise AssertionError(f"no {kind.__name__}")


def loads_nothing_else():
    return not ABSENT & {name.partition(".")[0] for name in sys.modules}


def vector(n):
    return [float(n == m) + m / 64 for m in range(32)]


async def core(env):
    from vectorize_core import AsyncVectorizeClient, Vector

    assert loads_nothing_else()
    client = AsyncVectorizeClient.from_binding(env.core, metadata_indexes={"n": "number"})
    index = client.index("core")
    odd = {"é": "日本\x00", "deep": {"list": [1, 2.5, None, True, "x"]}}
    vectors = [Vector(f"v{n}", vector(n), "s", {**odd, "n": n}) for n in range(40)]
    await carry_out("all calls", all_calls(index, vectors))
    await carry_out("refusals", refusals(client, vectors))
    await carry_out("databases", databases(env.DB))
    assert loads_nothing_else()


async def all_calls(index, vectors):
    await index.upsert(vectors, wait="visible")
    await index.insert(vectors[:1])
    assert await index.get(["v3", "no", "v1"]) == [vectors[3], vectors[1]]
    (best, *_) = await index.query(vector(7), 3, return_values=True, return_metadata="all")
    assert (best.id, best.metadata, best.namespace) == ("v7", vectors[7].metadata, "s")
    assert list(best.values) == list(vectors[7].values)
    assert (await index.query_by_id("v9", 1))[0].id == "v9"
    assert await index.count(filter={"n": {"$lt": 10}}) == 10
    await index.delete(["v0"], wait="visible")
    assert (await index.info()).vector_count == 39
    assert (await index.details()).config.dimensions == 32


async def refusals(client, vectors):
    from vectorize_core import BadRequestError, ConfigurationError, UnsupportedCallError
    from vectorize_core.api.operations import GetByIds, Query
    from vectorize_core.models import as_values

    io, near = client.connection.async_io(), vectors[0].values
    for op, code in (
        (GetByIds("core", tuple(map(str, range(21)))), 40007),
        (Query("core", vector=as_values([1.0] * 40)), 40006),
        (Query("core", vector=near, top_k=60, return_values=True), 40025),
    ):
        with raises(BadRequestError, f"[code {code}]"):
            await io.call(op)
    with raises(UnsupportedCallError, "REST"):
        await client.list_indexes()
    with raises(UnsupportedCallError, "REST"):
        await anext(client.index("core").list_ids())
    for call in (lambda: client.to_sync().list_indexes(), client.to_sync().index("core").info):
        with raises(ConfigurationError, "can only be awaited"):
            call()


async def databases(database):
    from vectorize_core import D1Texts

    texts = D1Texts.from_binding(database, table="texts")
    io = texts._client.connection.async_io()
    assert await texts.get(io, "core", ["a"]) == {}
    long = {f"name {n}": f"{n}: é\U0001f600" * 1_000 for n in range(130)}
    await texts.put(io, "core", long)
    assert await texts.get(io, "core", [*long, "none"]) == long
    await texts.delete(io, "core", [*long])
    assert await texts.get(io, "core", [*long]) == {}


async def langchain(env):
    stand_in("uuid_utils")
    stand_in("uuid_utils.compat", uuid7=lambda *_, **__: uuid.uuid4())
    # The suites of chat models and others need much more than that of vector stores.
    (place,) = importlib.util.find_spec("langchain_tests").submodule_search_locations
    stand_in("langchain_tests", __path__=[place])
    stand_in("langchain_tests.integration_tests", __path__=[f"{place}/integration_tests"])
    from langchain_core.embeddings import DeterministicFakeEmbedding
    from langchain_tests.integration_tests.vectorstores import VectorStoreIntegrationTests

    from langchain_vectorize import VectorizeVectorStore
    from vectorize_core import D1TextIndex

    suite = VectorStoreIntegrationTests()
    names = [
        name
        for name, method in inspect.getmembers(VectorStoreIntegrationTests)
        if name.startswith("test_") and inspect.iscoroutinefunction(method)
    ]
    for number, name in enumerate(names):
        index = f"langchain{number}"
        store = VectorizeVectorStore(
            DeterministicFakeEmbedding(size=32),
            index_name=index,
            binding=getattr(env, index),
            text_index=D1TextIndex.from_binding(env.DB),
            wait="visible",
        )
        await carry_out(name, getattr(suite, name)(store))
        async for document in store.aiter_documents():
            text = document.page_content
            found = await store.asimilarity_search(text, 100, retrieval_mode="text")
            assert document.id in {one.id for one in found}
        await store.aclose()


async def llama_index(env):
    # Its pipelines can work in processes, of which it imports the class.
    stand_in("_multiprocessing")
    from llama_index.core.schema import TextNode
    from llama_index.core.vector_stores import MetadataFilter, MetadataFilters, VectorStoreQuery

    from llama_index_vectorize import VectorizeVectorStore

    store = VectorizeVectorStore(
        "llama", binding=env.llama, metadata_indexes={"n": "number"}, wait="visible"
    )
    below = MetadataFilters(filters=[MetadataFilter(key="n", value=3, operator="<")])
    query = VectorStoreQuery(query_embedding=vector(1), similarity_top_k=5, filters=below)

    async def all_three():
        nodes = [
            TextNode(id_=f"n{n}", text=f"text {n}", metadata={"n": n}, embedding=vector(n))
            for n in range(5)
        ]
        assert await store.async_add(nodes) == [node.node_id for node in nodes]
        nodes[1].text = "another text"
        await store.async_add(nodes[1:2])
        found = await store.aquery(query)
        assert (found.ids[0], found.nodes[0].text) == ("n1", "another text")
        assert set(found.ids) == {"n0", "n1", "n2"}
        await store.adelete_nodes(["n1"])
        assert set((await store.aquery(query)).ids) == {"n0", "n2"}

    await carry_out("upsert, query, delete", all_three())


async def worker(env, template):
    """A template, asked as its runtime would ask it."""
    if "langchain" in template:
        stand_in("uuid_utils")
        stand_in("uuid_utils.compat", uuid7=lambda *_, **__: uuid.uuid4())
    answered = types.SimpleNamespace
    stand_in(
        "workers",
        WorkerEntrypoint=object,
        Response=lambda body, **more: answered(body=body, **more),
    )
    root = next(at for at in sys.path if at.endswith("/0"))
    sys.path.insert(0, f"{root}/examples/{template}/src")
    entry = importlib.import_module("entry")
    one = entry.Default()
    one.env = types.SimpleNamespace(VECTORIZE=env.docs)

    async def ask(method, path, body=""):
        async def text():
            return body

        url = f"https://worker.example{path}"
        response = await one.fetch(types.SimpleNamespace(method=method, url=url, text=text))
        assert response.status == 200
        return json.loads(response.body)

    async def documents():
        given = [
            {"text": "We choose to go to the moon", "source": "Kennedy"},
            {"text": "Four score and seven years ago", "source": "Lincoln"},
        ]
        assert len((await ask("POST", "/documents", json.dumps(given)))["ids"]) == 2
        found = await ask("GET", "/answer?q=Who+went+to+the+moon")
        assert found["passages"] == [one["text"] for one in given]
        found = await ask("GET", "/answer?q=moon&source=Lincoln")
        assert found["passages"] == [given[1]["text"]]

    await carry_out("documents in, passages out", documents())


await (globals()[tried](env) if tried in globals() else worker(env, tried))  # noqa: F704, F821, PLE1142
len(failures)
