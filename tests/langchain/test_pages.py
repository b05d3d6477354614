"""The code of the pages on the store runs as it stands there, and their figures are right."""

from __future__ import annotations

import inspect
import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_core.language_models import FakeListLLM

from langchain_vectorize import VectorizeVectorStore
from tests.documents import examples, run
from tests.stores import DIMENSIONS, Embedder, Recorder, recorded
from vectorize_core import F, VectorizeClient


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def test_tenants() -> None:
    with VectorizeVectorStore.local(Embedder(), index_name="docs") as store:
        names: dict[str, Any] = {"store": store}
        for heading, code in examples("tenants.md", "LangChain").items():
            await run(code, heading, names)
        assert names["found"] == Document("Acme's terms of delivery", id="terms")
        assert names["got"] == Document("Zeta's terms of delivery", id="terms")
        (stored,) = names["everything"]
        assert stored != "terms"
        assert store.get_by_ids([stored])[0].page_content == "Acme's terms of delivery"
        assert (names["acme"].count(), names["zeta"].count()) == (1, 0)


async def test_the_class_docstring(capsys: Any) -> None:
    blocks = inspect.getdoc(VectorizeVectorStore).split(".. code-block:: python\n\n")[1:]
    code = [re.split(r"\n {0,4}\S", block)[0] for block in blocks]
    assert len(code) == 14
    names: dict[str, Any] = {
        "embeddings": Embedder(),
        "documents": [
            Document(f"Of {year}", id=f"{year}", metadata={"year": year})
            for year in (1863, 1896, 1961, 1963)
        ],
        "record_manager": InMemoryRecordManager("docs"),
    }
    *most, upkeep = code
    for block in most:
        await run(textwrap.dedent(block), "docstring", names)
    assert sorted(capsys.readouterr().out.split("\n")[-2:]) == ["", "Of 1963"]
    assert len(names["retriever"].invoke("q")) == 4
    assert names["store"].count(namespace="customer-1") == 4
    names["record_manager"].update(["gone"])
    await run(textwrap.dedent(upkeep), "docstring", names)
    assert capsys.readouterr().out.startswith("1 missing, ")
    assert names["store"].count() == 0
    names["store"].close()


COUNT = 400
INDEXES = {"length": "number"}


@pytest.fixture(scope="module")
def client() -> Iterator[VectorizeClient]:
    with VectorizeClient.local() as client:
        store = VectorizeVectorStore(
            Embedder(),
            index_name="docs",
            client=client,
            create_index=True,
            metadata_indexes=INDEXES,
        )
        store.add_documents(
            Document(f"text {n}", id=f"{n}", metadata={"length": n}) for n in range(COUNT)
        )
        store.wait()
        yield client


@pytest.fixture
def store(client: VectorizeClient) -> VectorizeVectorStore:
    return VectorizeVectorStore(Embedder(), index_name="docs", client=client)


async def test_many_results(store: VectorizeVectorStore, capsys: Any) -> None:
    names: dict[str, Any] = {"store": store}
    for heading, code in examples("many-results.md", "LangChain").items():
        await run(code, heading, names)
    assert len(names["best"]) == 300
    assert len({document.id for document in names["diverse"]}) == 10
    matching = COUNT - 201
    assert (names["long_ones"], names["number"], len(names["ids"])) == (matching,) * 3
    assert names["needed"] > 5
    assert "at most" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wanted", "least", "most"),
    [
        (lambda store: store.similarity_search("q", k=50), 1, 1),
        (lambda store: store.similarity_search("q", k=51), 4, 4),
        (lambda store: store.similarity_search("q", k=100), 6, 6),
        (lambda store: store.similarity_search("q", k=300), 300 / 50, 300 / 30 + 5),
        (lambda store: [*store.iter_documents({"length": {"$lt": 360}})], 360 / 50, 360 / 30 + 7),
        (lambda store: store.count({"length": {"$lt": 360}}), 360 / 100, 360 / 60 + 7),
        (lambda store: [*store.iter_ids({"length": {"$lt": 360}})], 360 / 100, 360 / 60 + 7),
        (lambda store: [*store.iter_ids()], 1, 1),
    ],
)
def test_the_page_on_many_results_tells_what_they_cost(
    client: VectorizeClient, wanted: Any, least: float, most: float
) -> None:
    executor = client.connection.executor
    sent: Recorder = recorded(client)
    try:
        store = VectorizeVectorStore(Embedder(), index_name="docs", client=client)
        wanted(store)
        sent.ops.clear()
        wanted(store)
    finally:
        client.connection.executor = executor
    assert least <= len(sent.ops) <= most


async def test_writing() -> None:
    code, handler = examples("writing.md", "LangChain").values()
    with VectorizeVectorStore.local(Embedder(), index_name="docs") as store:
        names: dict[str, Any] = {"store": store, "documents": [Document("one"), Document("two")]}
        await run(code, "writing.md", names)
        assert [it.page_content for it in store.get_by_ids(names["ids"])] == ["one", "two"]
    await run(handler, "What happened", names)
    with VectorizeVectorStore.local(
        Embedder(), index_name="docs", on_event=names["on_event"]
    ) as store:
        store.add_texts(["one"])
    assert names["seconds"]["Upsert"] > 0


async def test_filters() -> None:
    for needed in ("langchain_classic", "lark"):
        pytest.importorskip(needed)
    wrote = '{"query": "moon", "filter": "gt(\\"year\\", 1960)"}'
    names: dict[str, Any] = {"F": F, "llm": FakeListLLM(responses=[f"```json\n{wrote}\n```"])}
    with VectorizeVectorStore.local(
        Embedder(), index_name="docs", metadata_indexes={"year": "number"}
    ) as store:
        store.add_texts(["Four score", "To the moon"], [{"year": 1863}, {"year": 1962}])
        code = examples("filters.md")["LangChain"]
        (found,) = await run(code, "filters.md", names | {"store": store})
    assert found.page_content == "To the moon"


async def test_concurrency(tmp_path: Path) -> None:
    made = {"embeddings": Embedder(), "VectorizeVectorStore": VectorizeVectorStore}
    pages = examples("concurrency.md", "LangChain")
    with VectorizeVectorStore(Embedder(), index_name="docs", path=tmp_path / "data") as store:
        store.add_texts(["one", "two", "three"])
        for heading in ("Threads", "Async", "Many calls at once", "Processes"):
            names: dict[str, Any] = {"store": store, **made}
            await run(pages[heading], heading, names)
            if heading == "Threads":
                best = [found[0].page_content for found in names["answers"]]
                assert best == ["one", "two", "three"]
            if heading == "Async":
                best = [task.result()[0].page_content for task in names["tasks"]]
                assert best == ["one", "two"]
        assert len(store.similarity_search("one")) == 3


async def test_fastapi() -> None:
    names: dict[str, Any] = {"embeddings": Embedder(), "VectorizeVectorStore": VectorizeVectorStore}
    await run(examples("concurrency.md", "LangChain")["FastAPI"], "FastAPI", names)
    with TestClient(names["app"]) as client:
        for tenant in ("acme", "zeta"):
            added = client.post(f"/{tenant}/texts", json=[f"of {tenant}"])
            assert (added.status_code, len(added.json())) == (200, 1)
        for tenant in ("acme", "zeta"):
            found = client.get(f"/{tenant}/search", params={"q": "anything"})
            assert found.json() == [f"of {tenant}"]
        assert client.get("/nobody/search", params={"q": "anything"}).json() == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_store_goes_on_in_both_after_a_fork(tmp_path: Path) -> None:
    with VectorizeVectorStore(Embedder(), index_name="docs", path=tmp_path / "data") as store:
        store.add_texts(["of the parent"], ids=["1"])
        child = os.fork()
        if child == 0:
            try:
                store.add_texts(["of the child"], ids=["2"])
                os._exit(0 if len(store.similarity_search("q")) == 2 else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert [d.page_content for d in store.get_by_ids(["1", "2"])] == [
            "of the parent",
            "of the child",
        ]


async def test_upkeep(capsys: Any) -> None:
    pages = examples("upkeep.md", "LangChain")
    with VectorizeVectorStore.local(
        Embedder(), index_name="docs", metadata_indexes={"year": "number"}
    ) as store:
        documents = [
            Document(f"Of {year}", id=f"{year}", metadata={"year": year, "draft": True})
            for year in range(1_950, 2_000)
        ]
        store.add_documents(documents)
        store.add_texts(["rivers"], [{"author": "a"}], ids=["rivers"])
        names: dict[str, Any] = {"store": store, "ids": ["1961"]}
        assert await run(pages["The index underneath"], "", names) == ["docs"]
        shown, embeddings = await run(pages["Reading a page"], "", names)
        assert shown == [f"{year}" for year in range(1_980, 1_990)]
        assert [len(values) for values in embeddings] == [DIMENSIONS] * 10
        await run(pages["Results with more"], "", names)
        assert "rivers" in [document.id for document in names["near"]]
        assert len(names["with_vectors"]) == len(names["diverse"]) == 10
        assert {len(values) for _, values in names["with_vectors"]} == {DIMENSIONS}
        await run(pages["Changing metadata"], "", names)
        (document,) = store.get_by_ids(["1961"])
        assert document.metadata == {"year": 1961, "checked": True}
        await run(pages["Filtering by something new"], "", names)
        assert store.count({"author": "a"}) == 1
        store.delete(delete_all=True)
        manager = InMemoryRecordManager("docs")
        names["record_manager"] = manager
        sources = [Document(text) for text in ("one", "two", "three")]
        index(sources, manager, store, key_encoder="sha256")
        store.delete([next(store.iter_ids())])
        await run(pages["Comparing with the sources"], "", names)
        assert capsys.readouterr().out == "1 missing, 0 extra, 0 changed\n"
        added = index(sources, manager, store, key_encoder="sha256")
        assert (added["num_added"], added["num_skipped"]) == (1, 2)
        names["new_model"] = Embedder()
        await run(pages["Another embedding model"], "", names)
        with names["new"] as new:
            assert new.compare(manager).same
        await run(pages["Starting again"], "", names)
        assert store.count() == 0
