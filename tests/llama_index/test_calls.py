"""What LlamaIndex really calls, of each of its parts that has a vector store, and what comes of it.

Its parts call the store in ways that its interface does not tell; each is here, on both variants.
"""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import (
    DocumentSummaryIndex,
    Settings,
    StorageContext,
    VectorStoreIndex,
    load_index_from_storage,
)
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.llms import CompletionResponse, MockLLM
from llama_index.core.memory import VectorMemory, VectorMemoryBlock
from llama_index.core.retrievers import VectorIndexAutoRetriever, VectorIndexRetriever
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageNode,
    IndexNode,
    NodeRelationship,
    RelatedNodeInfo,
    TextNode,
    TransformComponent,
)
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores.types import (
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    MetadataInfo,
    VectorStoreInfo,
    VectorStoreQuery,
)

from llama_index_vectorize import VectorizeVectorStore
from tests.llama_index.helpers import MODEL, documents, equal_to, run_pipeline, text_node
from tests.stores import Call, both_ways, recorded, sync_call, vector
from vectorize_core import (
    ConfigurationError,
    InvalidInputError,
    NotPersistedWarning,
    TooManyRequestsNeededError,
    UnindexedPropertyError,
    VectorizeClient,
)
from vectorize_core.api.operations import GetByIds

pytestmark = pytest.mark.covering(2)

VARIANTS = {
    "add": ("add", "async_add"),
    **{
        name: (name, f"a{name}")
        for name in ("delete", "delete_nodes", "get_nodes", "clear", "query", "delete_many")
    },
}


class Traced(VectorizeVectorStore):
    """A store that keeps the calls of its methods: name, arguments, keywords."""

    _calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = PrivateAttr(default_factory=list)

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if not any(name in names for names in VARIANTS.values()) and name != "persist":
            return found

        def called(*args: Any, **kwargs: Any) -> Any:
            self._calls.append((name, args, kwargs))
            return found(*args, **kwargs)

        return called

    def calls(self) -> list[Any]:
        """What was called since the last time: names, with ids or the number of nodes."""
        told: list[Any] = []
        for name, args, kwargs in self._calls:
            (first,) = args or (None,)
            if name in VARIANTS["add"]:
                first = len(first)
            elif isinstance(first, VectorStoreQuery):
                first = first.node_ids
            told.append((name, first, kwargs) if kwargs else (name, first))
        self._calls.clear()
        return told


@pytest.fixture
def store() -> Iterator[Traced]:
    with Traced("docs", path=":memory:", metadata_indexes={"n": "number"}) as store:
        yield store


@pytest.fixture
def index(store: Traced) -> VectorStoreIndex:
    """An index that has just been made, and knows none of its nodes."""
    return VectorStoreIndex([], storage_context=StorageContext.from_defaults(vector_store=store))


def variant(call: Call, name: str) -> str:
    return VARIANTS[name][call is not sync_call]


def ids(store: Traced) -> set[str]:
    return set(store.index.list_ids())


def texts(store: Traced) -> dict[str | None, str]:
    """The text of each source document that is one node."""
    return {node.ref_doc_id: node.get_content() for node in store.iter_nodes()}


# Indexes


@pytest.mark.parametrize("use_async", [False, True])
async def test_an_index_of_documents_adds_them_in_slices(store: Traced, use_async: bool) -> None:
    many = [Document(id_=f"{i}", text=f"text {i}") for i in range(50)]
    # In a thread, for LlamaIndex leaves an event loop of the main one open.
    await asyncio.to_thread(
        VectorStoreIndex.from_documents,
        many,
        storage_context=StorageContext.from_defaults(vector_store=store),
        insert_batch_size=20,
        use_async=use_async,
    )
    name = "async_add" if use_async else "add"
    assert store.calls() == [(name, 20), (name, 20), (name, 10)]
    assert len(ids(store)) == 50


@both_ways
async def test_inserting_adds(store: Traced, index: VectorStoreIndex, call: Call) -> None:
    await call(index, "insert", documents("one")[0])
    await call(index, "insert_nodes", [TextNode(id_="a", text="a"), TextNode(id_="b", text="b")])
    await call(index, "insert_nodes", [TextNode(id_="c", text="c")], namespace="tenant", wait=True)
    add = variant(call, "add")
    kwargs = {"namespace": "tenant", "wait": True}
    assert store.calls() == [(add, 1), (add, 2), (add, 1, kwargs)]
    assert ids(store) > {"a", "b", "c"}
    assert [node.node_id for node in store.get_nodes(["a", "c"], namespace="tenant")] == ["c"]


@both_ways
async def test_an_id_that_is_inserted_again_is_replaced(
    store: Traced, index: VectorStoreIndex, call: Call
) -> None:
    for text in ("old", "new"):
        await call(index, "insert_nodes", [TextNode(id_="a", text=text)])
    (node,) = store.iter_nodes()
    assert (node.node_id, node.get_content()) == ("a", "new")


@both_ways
async def test_deleting_from_an_index(store: Traced, index: VectorStoreIndex, call: Call) -> None:
    store.add([text_node(f"{i}", f"doc-{i % 2}") for i in range(6)])
    store.calls()
    await call(index, "delete_ref_doc", "doc-0")
    await call(index, "delete_ref_doc", "unknown", delete_from_docstore=True)
    await call(index, "delete_nodes", ["1", "unknown"])
    await call(index, "delete_nodes", ["3"], wait=True)
    delete, delete_nodes = variant(call, "delete"), variant(call, "delete_nodes")
    assert store.calls() == [
        (delete, "doc-0"),
        (delete, "unknown"),
        (delete_nodes, ["1", "unknown"]),
        (delete_nodes, ["3"], {"wait": True}),
    ]
    assert ids(store) == {"5"}


@both_ways
async def test_refreshing_changes_what_has_changed(
    store: Traced, index: VectorStoreIndex, call: Call
) -> None:
    # With a docstore that knows them; see the next test.
    index = VectorStoreIndex(
        [],
        storage_context=StorageContext.from_defaults(vector_store=store),
        store_nodes_override=True,
    )
    assert await call(index, "refresh_ref_docs", documents("one", "two")) == [True, True]
    add, delete = variant(call, "add"), variant(call, "delete")
    assert store.calls() == [(add, 1), (add, 1)]
    changed = documents("one", "changed", "three")
    assert await call(index, "refresh_ref_docs", changed) == [False, True, True]
    assert store.calls() == [(delete, "doc-1"), (add, 1), (add, 1)]
    assert texts(store) == {"doc-0": "one", "doc-1": "changed", "doc-2": "three"}


class WholeDocuments(TransformComponent):
    """Lets documents be nodes."""

    def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        return nodes


@both_ways
async def test_refreshing_an_opened_index_keeps_stable_ids(store: Traced, call: Call) -> None:
    """It knows no document, so it inserts all of them: only stable node ids replace."""

    def opened() -> VectorStoreIndex:
        return VectorStoreIndex.from_vector_store(store, transformations=[WholeDocuments()])

    for text in ("one", "changed"):
        assert await call(opened(), "refresh_ref_docs", documents(text)) == [True]
    assert store.calls() == [(variant(call, "add"), 1)] * 2
    assert ids(store) == {"doc-0"}


def test_a_store_that_has_the_text_is_opened_as_an_index(store: Traced) -> None:
    opened = VectorStoreIndex.from_vector_store(store)
    assert store.stores_text
    with pytest.raises(NotImplementedError):
        _ = opened.ref_doc_info


def test_persisting_a_storage_context_persists_the_store(
    store: Traced, index: VectorStoreIndex, tmp_path: Path
) -> None:
    index.insert_nodes([TextNode(id_="a", text="a")])
    store.calls()
    with pytest.warns(NotPersistedWarning):
        index.storage_context.persist(tmp_path)
    ((name, _, kwargs),) = store.calls()
    assert (name, set(kwargs)) == ("persist", {"persist_path", "fs"})
    context = StorageContext.from_defaults(vector_store=store, persist_dir=str(tmp_path))
    again = load_index_from_storage(context)
    assert [node.node.node_id for node in again.as_retriever().retrieve("a")] == ["a"]


# Retrievers


@both_ways
async def test_a_retriever_of_an_index_is_restricted_to_no_nodes(
    store: Traced, index: VectorStoreIndex, call: Call
) -> None:
    await call(index, "insert_nodes", [TextNode(id_=f"{i}", text=f"{i}") for i in range(3)])
    store.calls()
    for retriever, node_ids in (
        (index.as_retriever(similarity_top_k=5), []),
        (VectorIndexRetriever(index, similarity_top_k=5), None),
    ):
        assert len(await call(retriever, "retrieve", "1")) == 3
        assert store.calls() == [(variant(call, "query"), node_ids)]


@both_ways
async def test_options_of_a_query_come_with_the_retriever(
    store: Traced, index: VectorStoreIndex, call: Call
) -> None:
    store.add([text_node("a")], namespace="tenant")
    store.add([text_node("b")])
    store.calls()
    options = {"namespace": "tenant", "max_requests": 5}
    retriever = index.as_retriever(vector_store_kwargs=options)
    (found,) = await call(retriever, "retrieve", "q")
    assert found.node.node_id == "a"
    assert store.calls() == [(variant(call, "query"), [], options)]
    wrong = index.as_retriever(vector_store_kwargs={"name_space": "tenant"})
    with pytest.raises(TypeError, match=r"'name_space'.*did you mean 'namespace'"):
        await call(wrong, "retrieve", "q")


MIXED: list[Any] = [
    *(TextNode(id_=f"t{i}", text=f"text {i}") for i in range(3)),
    IndexNode(id_="i", text="an index", index_id="other"),
    ImageNode(id_="m", text="an image", image_url="http://a.b/c.png"),
]


@both_ways
@pytest.mark.parametrize("node_layout", ["compact", "stock"])
async def test_index_and_image_nodes_hide_no_text_nodes(call: Call, node_layout: Any) -> None:
    """An index remembers these nodes alone, and its retrievers ask for what it remembers."""
    with Traced("docs", path=":memory:", node_layout=node_layout) as store:
        context = StorageContext.from_defaults(vector_store=store)
        index = VectorStoreIndex([], storage_context=context)
        await call(index, "insert_nodes", MIXED)
        store.calls()
        found = await call(index.as_retriever(similarity_top_k=9), "retrieve", "text 1")
        assert store.calls() == [(variant(call, "query"), ["i", "m"])]
        assert {node.node.node_id for node in found} == {"t0", "t1", "t2", "i", "m"}
        assert found[0].node.node_id == "t1"
        # Deleted ones are still asked for.
        await call(index, "delete_nodes", ["i"])
        found = await call(index.as_retriever(similarity_top_k=9), "retrieve", "text 1")
        assert {node.node.node_id for node in found} == {"t0", "t1", "t2", "m"}


@both_ways
@pytest.mark.parametrize("gone", ["the index node", "its document", "all that is remembered"])
async def test_ids_of_deleted_nodes_hide_nothing(call: Call, gone: str) -> None:
    with Traced("docs", path=":memory:") as store:
        source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id="doc")}
        inner = IndexNode(id_="i", text="an index", index_id="other", relationships=source)
        image = ImageNode(id_="m", text="an image", image_url="http://a.b/c.png")
        context = StorageContext.from_defaults(vector_store=store)
        texts = [TextNode(id_=f"t{i}", text=f"text {i}") for i in range(6)]
        index = VectorStoreIndex([inner, image, *texts], storage_context=context)
        left = {f"t{i}" for i in range(6)}
        if gone == "its document":
            await call(index, "delete_ref_doc", "doc")
        else:
            await call(store, "delete_nodes", ["i"])
        if gone == "all that is remembered":
            await call(store, "delete_nodes", ["m"])
        else:
            left |= {"m"}
        found = await call(index.as_retriever(similarity_top_k=9), "retrieve", "text 1")
        assert {node.node.node_id for node in found} == left
        strict = index.as_retriever(vector_store_kwargs={"strict_node_ids": True})
        assert {n.node.node_id for n in await call(strict, "retrieve", "q")} == left & {"m"}


@both_ways
@pytest.mark.parametrize("dead", [False, True])
async def test_thousands_of_index_nodes_take_few_requests(call: Call, dead: bool) -> None:
    with VectorizeClient.local(limits="cloudflare") as client:
        store = VectorizeVectorStore("docs", client=client, create_index=True)
        kept = 0 if dead else 150
        inner = [IndexNode(id_=f"i{at}", text="i", index_id="o") for at in range(kept)]
        nodes = [*inner, TextNode(id_="t", text="text")]
        context = StorageContext.from_defaults(vector_store=store)
        index = VectorStoreIndex(nodes, storage_context=context)
        index.index_struct.nodes_dict.update({str(at): f"i{at}" for at in range(3_000)})
        sent = recorded(client)
        (found,) = await call(index.as_retriever(similarity_top_k=1), "retrieve", "text")
        assert found.node.node_id == "t"
        assert len(sent.ops) <= 8
        restricted = {"strict_node_ids": True}
        strict = index.as_retriever(vector_store_kwargs=restricted)
        sent.ops.clear()
        found = await call(strict, "retrieve", "text")
        assert all(node.node.node_id.startswith("i") for node in found)
        assert len(found) == min(kept, 2)
        # So many are passed over as they are read, instead of being read by id.
        assert sent.of(GetByIds) == []
        allowed = {**restricted, "max_requests": 150}
        strict = index.as_retriever(similarity_top_k=200, vector_store_kwargs=allowed)
        assert len(await call(strict, "retrieve", "text")) == kept
        query = VectorStoreQuery(node_ids=[*map(str, range(2_001))])
        with pytest.raises(TooManyRequestsNeededError, match="max_requests=100"):
            await call(store, "query", query)


@both_ways
@pytest.mark.parametrize("mode", ["default", "mmr"])
@pytest.mark.parametrize("tenant", [False, True], ids=["store", "view"])
async def test_an_index_that_keeps_all_nodes_may_have_thousands(
    call: Call, mode: str, tenant: bool
) -> None:
    """Its retrievers ask for all of them, by id."""
    with VectorizeClient.local() as client:
        whole = VectorizeVectorStore("docs", client=client, create_index=True)
        store = whole.with_namespace("tenant") if tenant else whole
        index = VectorStoreIndex(
            [TextNode(id_=f"t{at}", text=f"text {at}", metadata={"n": at % 2}) for at in range(60)],
            storage_context=StorageContext.from_defaults(vector_store=store),
            store_nodes_override=True,
        )
        others = [TextNode(id_=f"o{at}", text="", embedding=vector("q")) for at in range(5)]
        store.add(others)
        index.index_struct.nodes_dict.update({str(at): f"gone{at}" for at in range(3_000)})
        sent = recorded(client)
        retriever = index.as_retriever(similarity_top_k=40, vector_store_query_mode=mode)
        found = [node.node for node in await call(retriever, "retrieve", "q")]
        assert len({node.node_id for node in found}) == 40
        assert all(node.node_id.startswith("t") for node in found)
        assert len(sent.ops) <= 20
        # A property without a metadata index is no error, as it is none with a few ids.
        filters = equal_to("n", 1)
        retriever = index.as_retriever(
            similarity_top_k=40, vector_store_query_mode=mode, filters=filters
        )
        found = [node.node for node in await call(retriever, "retrieve", "q")]
        assert {node.node_id for node in found} == {f"t{at}" for at in range(1, 60, 2)}


@both_ways
async def test_a_restriction_of_ones_own_holds(
    store: Traced, index: VectorStoreIndex, call: Call
) -> None:
    await call(index, "insert_nodes", MIXED)
    retriever = VectorIndexRetriever(index, node_ids=["i", "t1", "m"], similarity_top_k=9)
    found = await call(retriever, "retrieve", "q")
    assert {node.node.node_id for node in found} == {"i", "t1", "m"}
    strict = VectorIndexRetriever(
        index,
        node_ids=["i", "m"],
        similarity_top_k=9,
        vector_store_kwargs={"strict_node_ids": True},
    )
    assert {n.node.node_id for n in await call(strict, "retrieve", "q")} == {"i", "m"}
    query = VectorStoreQuery(query_embedding=vector("q"), node_ids=["i", "m"], similarity_top_k=9)
    assert set((await call(store, "query", query)).ids) == {"i", "m"}


@both_ways
async def test_a_mode_that_needs_words_says_so_of_a_store_without_them(
    store: Traced, index: VectorStoreIndex, call: Call
) -> None:
    retriever = index.as_retriever(vector_store_query_mode="text_search")
    with pytest.raises(ConfigurationError, match="text_index="):
        await call(retriever, "retrieve", "words")


class Scripted(MockLLM):
    """Says the same, whatever it is asked."""

    says: str = ""

    def __init__(self, says: Any) -> None:
        super().__init__()
        self.says = json.dumps(says)

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self.says)


ABOUT = VectorStoreInfo(
    content_info="short texts",
    metadata_info=[MetadataInfo(name="n", type="int", description="a number")],
)


@both_ways
@pytest.mark.parametrize(
    ("says", "extra", "expected"),
    [
        ({"query": "text 3", "filters": [{"key": "n", "value": 3}]}, None, ["3"]),
        (
            {"query": "text", "filters": [{"key": "n", "value": 7, "operator": ">="}], "top_k": 9},
            MetadataFilters(filters=[MetadataFilter(key="n", value=9, operator=FilterOperator.NE)]),
            ["7", "8"],
        ),
        ({"query": "", "filters": [{"key": "n", "value": [1, 2], "operator": "in"}]}, None, "12"),
    ],
)
async def test_filters_may_come_from_a_language_model(
    store: Traced, index: VectorStoreIndex, call: Call, says: Any, extra: Any, expected: Any
) -> None:
    store.add([text_node(f"{i}", n=i) for i in range(10)])
    retriever = VectorIndexAutoRetriever(
        index,
        vector_store_info=ABOUT,
        llm=Scripted(says),
        extra_filters=extra,
        similarity_top_k=5,
        default_empty_query_vector=vector("anything"),
    )
    found = await call(retriever, "retrieve", "a question")
    assert sorted(node.node.node_id for node in found) == list(expected)


@both_ways
async def test_a_language_model_may_name_what_is_inside_metadata(call: Call) -> None:
    store = VectorizeVectorStore.local("docs", metadata_indexes={"author.name": "string"})
    store.add([text_node("a", author={"name": "Ada"}), text_node("b", author={"name": "Bo"})])
    known = MetadataInfo(name="author.name", type="str", description="who wrote it")
    about = VectorStoreInfo(content_info="short texts", metadata_info=[known])
    llm = Scripted({"query": "q", "filters": [{"key": "author.name", "value": "Ada"}]})
    index = VectorStoreIndex.from_vector_store(store)
    retriever = VectorIndexAutoRetriever(index, vector_store_info=about, llm=llm)
    (found,) = await call(retriever, "retrieve", "a question")
    assert found.node.node_id == "a"
    store.close()


@both_ways
async def test_a_property_that_a_language_model_made_up_is_an_error(
    store: Traced, index: VectorStoreIndex, call: Call
) -> None:
    store.add([text_node("a")])
    says = {"query": "q", "filters": [{"key": "colour", "value": "red"}]}
    retriever = VectorIndexAutoRetriever(index, vector_store_info=ABOUT, llm=Scripted(says))
    with pytest.raises(UnindexedPropertyError, match="'colour'"):
        await call(retriever, "retrieve", "a question")


@both_ways
async def test_filters_that_a_language_model_writes_may_scan(tmp_path: Path, call: Call) -> None:
    with ExitStack() as opened:
        store = opened.enter_context(VectorizeVectorStore("docs", path=tmp_path, unindexed="scan"))
        store.add([text_node("a", colour="red", tags=["x"]), text_node("b", colour="blue")])
        index = VectorStoreIndex.from_vector_store(store)
        for one in (
            {"key": "colour", "value": "red"},
            {"key": "tags", "value": ["x", "y"], "operator": "any"},
        ):
            llm = Scripted({"query": "q", "filters": [one]})
            retriever = VectorIndexAutoRetriever(index, vector_store_info=ABOUT, llm=llm)
            (found,) = await call(retriever, "retrieve", "a question")
            assert found.node.node_id == "a"
        red = MetadataFilters(filters=[MetadataFilter(key="colour", value="red")])
        for made in (
            store,
            store.with_namespace("t"),
            opened.enter_context(pickle.loads(pickle.dumps(store))),
            opened.enter_context(VectorizeVectorStore.from_dict(store.to_dict())),
            opened.enter_context(VectorizeVectorStore.model_validate(store.model_dump())),
            opened.enter_context(VectorizeVectorStore.local("docs", unindexed="scan")),
        ):
            assert made.unindexed == "scan"
            for method, args in (("get_nodes", (None, red)), ("count", (red,))):
                await call(made, method, *args)
                with pytest.raises(UnindexedPropertyError):  # The call has the last word.
                    await call(made, method, *args, unindexed="error")
            assert "colour" in str(await call(made, "explain_filter", red))
        await call(store, "delete_nodes", None, red)
        assert [node.node_id for node in store.iter_nodes()] == ["b"]
        with pytest.raises(InvalidInputError, match="unindexed is 'error' or 'scan'"):
            VectorizeVectorStore("docs", path=":memory:", unindexed="all")  # type: ignore[arg-type]


# Pipelines


def pipeline(store: Traced, strategy: DocstoreStrategy) -> IngestionPipeline:
    return IngestionPipeline(
        transformations=[MODEL],
        docstore=SimpleDocumentStore(),
        vector_store=store,
        docstore_strategy=strategy,
    )


@both_ways
async def test_a_pipeline_adds_all_nodes_at_once(store: Traced, call: Call) -> None:
    made = IngestionPipeline(transformations=[MODEL], vector_store=store)
    await run_pipeline(call, made, documents(*(f"text {i}" for i in range(60))))
    assert store.calls() == [(variant(call, "add"), 60)]
    assert ids(store) == {f"doc-{i}" for i in range(60)}


@both_ways
@pytest.mark.parametrize("strategy", DocstoreStrategy)
async def test_a_pipeline_calls_what_its_strategy_says(
    store: Traced, call: Call, strategy: DocstoreStrategy
) -> None:
    add, delete = variant(call, "add"), variant(call, "delete")
    only_new = strategy == DocstoreStrategy.DUPLICATES_ONLY
    made = pipeline(store, strategy)
    await run_pipeline(call, made, documents("one", "two", "three"))
    assert store.calls() == [(add, 3)]
    await run_pipeline(call, made, documents("one", "two", "three"))
    assert store.calls() == []
    await run_pipeline(call, made, documents("one", "changed"))
    gone = [(delete, "doc-2")] if strategy == DocstoreStrategy.UPSERTS_AND_DELETE else []
    assert store.calls() == [*([] if only_new else [(delete, "doc-1")]), *gone, (add, 1)]
    nodes = {node.node_id: node.get_content() for node in store.iter_nodes()}
    kept = {} if gone else {"doc-2": "three"}
    assert nodes == {"doc-0": "one", "doc-1": "changed", **kept}


@pytest.mark.parametrize("name", ["namespace", "batch_size", "show_progress", "wait", "text_key"])
@both_ways
async def test_pipelines_pass_nothing_so_all_can_be_set_on_the_store(
    call: Call, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    setting = {
        "namespace": "tenant",
        "batch_size": 7,
        "show_progress": True,
        "wait": "visible",
        "text_key": "body",
    }[name]
    with Traced("docs", path=":memory:", **{name: setting}) as store:
        made = IngestionPipeline(transformations=[MODEL], vector_store=store)
        await run_pipeline(call, made, documents(*(f"text {i}" for i in range(20))))
        assert getattr(store, name) == setting
        (stored,) = store.index.get(["doc-0"])
        assert stored.namespace == ("tenant" if name == "namespace" else None)
        assert stored.metadata["body" if name == "text_key" else "text"] == "text 0"
        assert ("20/20" in capsys.readouterr().err) is (name == "show_progress")


# Memories


@pytest.mark.parametrize("session", [None, "s1"])
async def test_a_memory_block_keeps_messages_by_session(session: str | None) -> None:
    with Traced("docs", path=":memory:", metadata_indexes={"session_id": "string"}) as store:
        block = VectorMemoryBlock(vector_store=store, similarity_top_k=5)
        for name in ("s1", "s2"):
            said = ChatMessage("I live in " + name, additional_kwargs={"session_id": name})
            await block.aput([said], from_short_term_memory=True)
        await block.aput([ChatMessage("no session")], from_short_term_memory=True)
        assert store.calls() == [("async_add", 1)] * 3
        told = await block.aget([ChatMessage("Where do I live?")], session_id=session)
        assert [name for name, *_ in store.calls()] == ["aquery"]
        assert "in s1" in told
        assert ("in s2" in told) is ("no session" in told) is (session is None)


def test_the_old_vector_memory_replaces_its_last_node_and_is_reset(store: Traced) -> None:
    memory = VectorMemory.from_defaults(vector_store=store, embed_model=MODEL)
    memory.put(ChatMessage("a question"))
    memory.put(ChatMessage("an answer", role=MessageRole.ASSISTANT))
    names = [name for name, *_ in store.calls()]
    assert names == ["delete_nodes", "add", "delete_nodes", "add"]
    assert [message.content for message in memory.get("a question")] == ["a question", "an answer"]
    memory.reset()
    assert store.calls()[-1] == ("clear", None)
    assert memory.get("a question") == []


def test_an_index_of_summaries_adds_queries_and_deletes(
    store: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Settings, "_llm", MockLLM())
    summaries = DocumentSummaryIndex.from_documents(
        documents("one", "two"), storage_context=StorageContext.from_defaults(vector_store=store)
    )
    retriever = summaries.as_retriever(retriever_mode="embedding", similarity_top_k=1)
    assert len(retriever.retrieve("one")) == 1
    summaries.delete_ref_doc("doc-0")
    names = [name for name, *_ in store.calls()]
    assert names == ["add", "query", "delete"]
    assert len(ids(store)) == 1


# What LlamaIndex itself never calls


@both_ways
async def test_many_documents_are_deleted_at_once(store: Traced, call: Call) -> None:
    store.add([text_node(f"{i}", f"doc-{i % 5}") for i in range(50)])
    await call(store, "delete_many", ["doc-0", "doc-3", "unknown"])
    assert {int(node_id) % 5 for node_id in ids(store)} == {1, 2, 4}
    await call(store, "delete_many", [])
    assert len(ids(store)) == 30


def test_every_method_of_the_base_class_is_the_stores_own() -> None:
    for sync, other in VARIANTS.values():
        for name in (sync, other):
            assert getattr(VectorizeVectorStore, name).__module__.startswith("llama_index_vector")
