"""Each usual way to keep nodes: the same while intact, and repaired only if it is written again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import pytest
from llama_index.core import DocumentSummaryIndex, MockEmbedding, StorageContext, VectorStoreIndex
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.llms import MockLLM
from llama_index.core.node_parser import (
    HierarchicalNodeParser,
    SentenceSplitter,
    SentenceWindowNodeParser,
    get_leaf_nodes,
)
from llama_index.core.schema import BaseNode, Document, IndexNode, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore

from llama_index_vectorize import VectorizeVectorStore
from tests.nightly import NIGHTLY
from vectorize_core import Comparison, InvalidInputError

MODEL: Final = MockEmbedding(embed_dim=32)


def text(name: str, count: int) -> str:
    return " ".join(f"Sentence {n} of {name} says something about {n}." for n in range(count))


# One of them is so short that no splitter divides it.
DOCUMENTS: Final = [
    Document(doc_id=f"doc {n}", text=text(f"doc {n}", 1 if n == 2 else 24)) for n in range(3)
]
SPLITTER: Final = SentenceSplitter(chunk_size=64, chunk_overlap=0)
LEVELS: Final = HierarchicalNodeParser.from_defaults(chunk_sizes=[256, 128, 64], chunk_overlap=0)


@dataclass
class Kept:
    """A store and a document store; ``again`` is what writes documents into them once more."""

    store: VectorizeVectorStore
    docstore: SimpleDocumentStore
    again: Callable[[], Any] | None = None

    def stored(self) -> set[str]:
        return {node.node_id for node in self.store.get_nodes()}

    def listed(self) -> Any:
        hashes, infos = (
            self.docstore.get_all_document_hashes(),
            self.docstore.get_all_ref_doc_info(),
        )
        docs = {name: one.hash for name, one in self.docstore.docs.items()}
        return docs, hashes, {name: info.to_dict() for name, info in (infos or {}).items()}

    def put(self, nodes: list[Any]) -> None:
        self.store.add([n.model_copy(update={"embedding": embedding(n)}) for n in nodes])


def embedding(node: BaseNode) -> list[float]:
    return MODEL.get_text_embedding(node.get_content())


def by_hand(*, stored: list[Any], listed: list[Any]) -> Any:
    def keep(store: VectorizeVectorStore) -> Kept:
        kept = Kept(store, SimpleDocumentStore())
        kept.docstore.add_documents(listed)
        kept.put(stored)
        return kept

    return keep


def pipeline(*transformations: Any, strategy: Any = DocstoreStrategy.UPSERTS) -> Any:
    def keep(store: VectorizeVectorStore) -> Kept:
        docstore = SimpleDocumentStore()
        work = IngestionPipeline(
            transformations=[*transformations, MODEL],
            vector_store=store,
            docstore=docstore,
            docstore_strategy=strategy,
        )
        work.run(documents=DOCUMENTS)
        return Kept(store, docstore, lambda: work.run(documents=DOCUMENTS))

    return keep


def index(*transformations: Any, **options: Any) -> Any:
    def keep(store: VectorizeVectorStore) -> Kept:
        context = StorageContext.from_defaults(vector_store=store, docstore=SimpleDocumentStore())
        made: Any = VectorStoreIndex.from_documents(
            DOCUMENTS,
            storage_context=context,
            transformations=[*transformations],
            embed_model=MODEL,
            **options,
        )
        return Kept(store, context.docstore, lambda: made.refresh_ref_docs(DOCUMENTS))  # type: ignore[arg-type]

    return keep


def summary_index(store: VectorizeVectorStore) -> Kept:
    context = StorageContext.from_defaults(vector_store=store, docstore=SimpleDocumentStore())
    made: Any = DocumentSummaryIndex.from_documents(
        DOCUMENTS,
        llm=MockLLM(max_tokens=8),
        embed_model=MODEL,
        storage_context=context,
        transformations=[SPLITTER],
    )
    return Kept(store, context.docstore, lambda: made.refresh_ref_docs(DOCUMENTS))  # type: ignore[arg-type]


def some_stand_for_others(nodes: Any, **_: Any) -> list[BaseNode]:
    """As parsers of tables do: some nodes stand for something else."""
    return [
        IndexNode.from_text_node(node, f"table {node.node_id}") if at % 3 == 0 else node
        for at, node in enumerate(nodes)
    ]


ALL: Final = LEVELS.get_nodes_from_documents(DOCUMENTS)
LEAVES: Final = get_leaf_nodes(ALL)
CHUNKS: Final = SPLITTER.get_nodes_from_documents(DOCUMENTS)
PIECES: Final = [
    IndexNode.from_text_node(piece, chunk.node_id)  # type: ignore[arg-type]
    for chunk in CHUNKS
    for piece in SentenceWindowNodeParser.from_defaults().get_nodes_from_documents([chunk])
]
SUMMARIES: Final = [
    IndexNode(text=f"about {one.doc_id}", index_id=one.doc_id, id_=f"summary of {one.doc_id}")
    for one in DOCUMENTS
]
LOOSE: Final = [TextNode(id_=f"node {n}", text=f"text {n}") for n in range(4)]
WAYS: Final[dict[str, Callable[[VectorizeVectorStore], Kept]]] = {
    "leaves": by_hand(stored=LEAVES, listed=ALL),
    "leaves and documents": by_hand(stored=LEAVES, listed=[*DOCUMENTS, *ALL]),
    "all levels": by_hand(stored=ALL, listed=ALL),
    "only parents listed": by_hand(
        stored=LEAVES, listed=[node for node in ALL if node.child_nodes]
    ),
    "only documents listed": by_hand(stored=CHUNKS, listed=DOCUMENTS),
    "small to big": by_hand(stored=PIECES, listed=CHUNKS),
    "summaries": by_hand(stored=SUMMARIES, listed=DOCUMENTS),
    "loose nodes": by_hand(stored=LOOSE, listed=LOOSE),
    "summary index": summary_index,
    "index": index(SPLITTER, store_nodes_override=True),
    "index of windows": index(SentenceWindowNodeParser.from_defaults(), store_nodes_override=True),
    "index of all levels": index(LEVELS, store_nodes_override=True),
    "index that lists some": index(SPLITTER, some_stand_for_others),
    "pipeline": pipeline(SPLITTER),
    "pipeline of windows": pipeline(SentenceWindowNodeParser.from_defaults()),
    "pipeline of all levels": pipeline(LEVELS),
    "pipeline without upserts": pipeline(SPLITTER, strategy=DocstoreStrategy.DUPLICATES_ONLY),
}
# Of a document of one chunk, nothing tells whether the chunk was there beside its summary.
UNSURE: Final = {"summary index": ("doc 2",)}
# Put there by hand, but not to be told from those of a pipeline.
LISTS_DOCUMENTS: Final = ("only documents listed", "summaries")
every_way = pytest.mark.parametrize("way", WAYS)


def kept_as(way: str) -> Kept:
    return WAYS[way](VectorizeVectorStore("docs", path=":memory:", create_index=True))


@every_way
def test_what_is_intact_is_the_same_and_stays(way: str) -> None:
    kept = kept_as(way)
    stored, listed = kept.stored(), kept.listed()
    repairs: list[Any] = [False, True] if way in UNSURE else [False, True, "all"]
    for repair in repairs:
        found = kept.store.compare(kept.docstore, repair=repair)
        left = UNSURE.get(way, ())
        assert found == Comparison((), (), (), bool(repair), left, left if repair else ())
    assert (kept.stored(), kept.listed()) == (stored, listed)


def damaged(kept: Kept, damage: str) -> None:
    """Change the store as others might."""
    nodes = kept.store.get_nodes()
    first = [node for node in nodes if node.ref_doc_id == nodes[0].ref_doc_id]
    lost = {"one": first[:1], "last": first[-1:], "document": first, "changed": []}.get(damage)
    if lost is not None:
        kept.store.delete_nodes([node.node_id for node in lost])
    if damage == "changed":
        kept.store.update_metadata([first[0].node_id], {"more": 1})
    if damage == "extra":
        kept.put([TextNode(id_="extra", text="of nobody")])


@every_way
@pytest.mark.parametrize("damage", ["one", "last", "document", "changed", "extra"])
@pytest.mark.parametrize("repair", [True, "all"] if NIGHTLY else ["all"])
def test_a_repair_deletes_only_what_is_written_again(
    way: str, damage: str, repair: Literal[True, "all"]
) -> None:
    kept = kept_as(way)
    whole = len(kept.stored())
    damaged(kept, damage)
    stored, listed = kept.stored(), set(kept.docstore.docs)
    found = kept.store.compare(kept.docstore)
    if kept.again is None and not found.same and way not in LISTS_DOCUMENTS:
        with pytest.raises(InvalidInputError, match="nothing would write again what"):
            kept.store.compare(kept.docstore, repair=repair)
        assert (kept.stored(), set(kept.docstore.docs)) == (stored, listed)
        return
    repaired = kept.store.compare(kept.docstore, repair=repair)
    assert set(kept.docstore.docs) == listed
    if kept.again is None:
        assert not found.changed
        return
    differing = {*found.missing, *found.changed}
    if repair == "all":
        differing |= {*found.incomplete}
    assert differing.isdisjoint(repaired.left)
    kept.again()
    again = kept.store.compare(kept.docstore)
    assert (again.missing, again.extra, again.changed) == ((), (), ())
    if differing or damage == "extra":
        assert again.incomplete == UNSURE.get(way, ())
        assert len(kept.stored()) == whole


def test_two_stores_over_one_document_store_lose_nothing_by_each_other() -> None:
    docstore, stores = SimpleDocumentStore(), list[VectorizeVectorStore]()
    for number in (0, 1):
        store = VectorizeVectorStore("docs", path=":memory:", create_index=True)
        stores.append(store)
        VectorStoreIndex.from_documents(
            DOCUMENTS[number : number + 1],
            storage_context=StorageContext.from_defaults(vector_store=store, docstore=docstore),
            transformations=[SPLITTER],
            embed_model=MODEL,
            store_nodes_override=True,
        )
    before = [set(docstore.docs), *(Kept(store, docstore).stored() for store in stores)]
    for number in (0, 1):
        assert stores[number].compare(docstore).missing == (f"doc {1 - number}",)
    for store in stores:
        store.compare(docstore, repair="all")
    assert [set(docstore.docs), *(Kept(store, docstore).stored() for store in stores)] == before


@pytest.mark.parametrize("way", ["all levels", "index of all levels", "pipeline of all levels"])
def test_the_loss_of_a_level_shows(way: str) -> None:
    for lost in ("leaves", "parents"):
        kept = kept_as(way)
        nodes = [node for node in kept.store.get_nodes() if node.ref_doc_id == "doc 1"]
        gone = [node.node_id for node in nodes if (not node.child_nodes) is (lost == "leaves")]
        kept.store.delete_nodes(gone)
        found = kept.store.compare(kept.docstore)
        listed = lost == "leaves" or way != "pipeline of all levels"
        assert {*found.changed, *found.incomplete} == ({"doc 1"} if listed else set())


def test_nodes_that_cannot_be_read_are_not_taken_for_lost() -> None:
    store, docstore = VectorizeVectorStore("docs", path=":memory:"), SimpleDocumentStore()
    kept = Kept(store, docstore)
    docstore.add_documents(ALL, store_text=False)
    kept.put(LEAVES)
    found = store.compare(docstore)
    assert (found.missing, found.extra, found.changed) == ((), (), ())
    assert found.incomplete
    stored = kept.stored()
    with pytest.raises(InvalidInputError, match="nothing would write again what"):
        store.compare(docstore, repair="all")
    assert kept.stored() == stored
