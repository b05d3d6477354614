"""A folder of documents that changes, kept in step with LlamaIndex: only what changed is embedded.

``python -m examples.llama_index_upserts``. On Cloudflare, leave out ``path=`` and set the two
variables of cloudflare.py; nothing else changes.
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import TokenTextSplitter
from llama_index.core.schema import Document
from llama_index.core.storage.docstore import SimpleDocumentStore

from examples.corpus import passages
from examples.minilm_llama_index import MiniLMEmbedding
from llama_index_vectorize import VectorizeVectorStore


def addresses(*years: int) -> list[Document]:
    """A document for each of these years: the opening of its address."""
    opening = {
        passage.metadata["year"]: passage for passage in passages() if passage.id.endswith("000")
    }
    # The ids are what the pipeline knows a document by when it comes again.
    return [
        Document(doc_id=f"{year}.txt", text=opening[year].text, metadata={"year": year})
        for year in years
    ]


def main() -> None:
    """Ingest three documents, then the folder as it is the next day."""
    today = addresses(1790, 1862, 1934)
    tomorrow = addresses(1790, 1862, 1941)  # 1934 is gone, 1941 is new, and 1862 has changed:
    tomorrow[1].set_content(f"{tomorrow[1].text} We shall nobly save the last best hope of earth.")
    embedding = MiniLMEmbedding()
    with TemporaryDirectory() as folder, VectorizeVectorStore("files", path=folder) as store:
        for day, documents in (("today", today), ("again", today), ("tomorrow", tomorrow)):
            nodes = ingest(store, embedding, documents, Path(folder) / "docstore.json")
            print(f"{day:8} {len(documents)} documents, {nodes} nodes written")
        for node in sorted(store.iter_nodes(), key=lambda node: str(node.ref_doc_id)):
            print(f"{node.ref_doc_id}: ... {node.get_content()[-60:]}")


def ingest(
    store: VectorizeVectorStore,
    embedding: MiniLMEmbedding,
    documents: Sequence[Document],
    known: Path,
) -> int:
    """Bring the store up to date with the documents; returns how many nodes that took."""
    docstore = (
        SimpleDocumentStore.from_persist_path(str(known))
        if known.exists()
        else SimpleDocumentStore()
    )
    pipeline = IngestionPipeline(
        transformations=[TokenTextSplitter(chunk_size=256, chunk_overlap=0), embedding],
        vector_store=store,
        docstore=docstore,
        docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
    )
    nodes = pipeline.run(documents=list(documents))
    docstore.persist(str(known))
    return len(nodes)


if __name__ == "__main__":
    main()
