"""Real text into an embedded Vectorize, and back as answers: ``make demo``.

Everything runs in this process: no account, no network. `tour` is the same on Cloudflare; see
cloudflare.py.
"""

import sys
import textwrap
import time
from pathlib import Path
from typing import Any

from langchain_core.documents import Document
from llama_index.core import VectorStoreIndex
from tqdm import tqdm

from examples.answers import Extractor
from examples.corpus import passages
from examples.minilm import MiniLM
from examples.minilm_langchain import MiniLMEmbeddings
from examples.minilm_llama_index import MiniLMEmbedding
from langchain_vectorize import VectorizeVectorStore
from llama_index_vectorize import VectorizeVectorStore as LlamaIndexStore
from vectorize_core import BatchReport, Event, RequestEvent, Vector, VectorizeClient

INDEX = "state-of-the-union"
FOLDER = Path(__file__).parent.parent / ".demo"
QUESTIONS = (
    "How can we cure cancer?",
    "What are the four essential human freedoms?",
    "How do we reduce inflation and taxes?",
)
FILTERED = "How shall we help the unemployed?"
EARLY = {"year": {"$lt": 1950}}


def tour(client: VectorizeClient, events: list[Event]) -> None:
    """Index the corpus with LangChain, ask with LangChain and with LlamaIndex.

    ``events`` is where the client's ``on_event`` puts what happens.
    """
    client.create_index(
        INDEX, dimensions=MiniLM.dimensions, metadata_indexes={"year": "number"}, exist_ok=True
    )
    model = MiniLM()
    store = VectorizeVectorStore(
        MiniLMEmbeddings(model), client=client, index_name=INDEX, wait="visible"
    )
    extractor = Extractor(model)

    heading("1. LangChain writes")
    ingest(client, store)

    heading("2. LangChain answers")
    for question in QUESTIONS:
        ask(store, extractor, question)
    print()
    say(f"Without a filter, and with filter={EARLY}:")
    ask(store, extractor, FILTERED)
    ask(store, extractor, FILTERED, filter=EARLY)

    heading("3. More than one answer of the service holds")
    events.clear()
    found = store.similarity_search("freedom", k=75)
    requests = sum(isinstance(event, RequestEvent) for event in events)
    say(
        f"k=75 gives {len(found)} passages with text and metadata, though the service returns at "
        f"most 50 of those at once: {requests} requests."
    )

    heading("4. Deleting")
    delete_copies(client, store)

    heading("5. LlamaIndex, on the same index")
    li_store = LlamaIndexStore(client=client, index_name=INDEX)
    index = VectorStoreIndex.from_vector_store(li_store, embed_model=MiniLMEmbedding(model))
    nodes = index.as_retriever(similarity_top_k=4).retrieve(QUESTIONS[1])
    answer = extractor.answer(QUESTIONS[1], [node.get_content() for node in nodes])
    source = next(node for node in nodes if answer in node.get_content())
    show(QUESTIONS[1], answer, source.metadata, source.score)


def ingest(client: VectorizeClient, store: VectorizeVectorStore) -> None:
    """Add what the index does not have yet, embedding nothing twice."""
    started = time.perf_counter()
    there = set(client.index(INDEX).list_ids())
    missing = [passage for passage in passages() if passage.id not in there]
    if missing:
        with tqdm(total=len(missing), unit=" passages", desc="embedding", leave=False) as bar:

            def advance(report: BatchReport) -> None:
                bar.update(report.written - bar.n)

            store.add_documents(
                (Document(id=p.id, page_content=p.text, metadata=p.metadata) for p in missing),
                batch_size=32,
                on_batch=advance,
            )
    say(
        f"{len(passages())} passages of eleven State of the Union addresses, "
        f"{MiniLM.dimensions} dimensions: {len(missing)} embedded and written now, "
        f"{time.perf_counter() - started:.1f} seconds."
    )


def ask(store: VectorizeVectorStore, extractor: Extractor, question: str, **options: Any) -> None:
    """One question: the four nearest passages, and the sentence that answers best."""
    scored = store.similarity_search_with_score(question, k=4, **options)
    answer = extractor.answer(question, [document.page_content for document, _ in scored])
    nearest, score = next(
        (document, score) for document, score in scored if answer in document.page_content
    )
    show(question, answer, nearest.metadata, score)


def delete_copies(client: VectorizeClient, store: VectorizeVectorStore) -> None:
    """Copy Lincoln's address under other ids, then delete the copies through the store."""
    index = client.index(INDEX)
    originals = index.get(
        [passage.id for passage in passages() if passage.metadata["year"] == 1862]
    )
    copies = [Vector(f"copy-{v.id}", v.values, metadata=v.metadata) for v in originals]
    index.upsert(copies, wait="visible")
    before = index.info().vector_count
    store.delete([copy.id for copy in copies])
    say(
        f"{len(copies)} passages copied under other ids: {before} vectors. "
        f"After store.delete(ids): {index.info().vector_count}."
    )


def show(question: str, answer: str, metadata: dict[str, Any], score: float | None) -> None:
    """A question with its answer, for a person to look at."""
    print(f"\n  Q: {question}")
    print(textwrap.indent(textwrap.fill(f"A: {answer}", 88), "  "))
    print(f"     {metadata['president']}, {metadata['year']}, score {score:.3f}")


def heading(text: str) -> None:
    """The title of a part."""
    print(f"\n{text}\n{'-' * len(text)}")


def say(text: str) -> None:
    """A line or two of prose."""
    print(textwrap.indent(textwrap.fill(text, 88), "  "))


def main() -> None:
    """The tour, embedded, with a count of the connections it opens."""
    connections = 0

    def watch(event: str, _: tuple[Any, ...]) -> None:
        nonlocal connections
        connections += event == "socket.connect"

    sys.addaudithook(watch)
    print("vectorize-stores: an embedded Vectorize in this process; no account, no network.")
    events: list[Event] = []
    with VectorizeClient.local(FOLDER, on_event=events.append) as client:
        tour(client, events)
    heading("6. The same on Cloudflare")
    say(f"Network connections opened so far: {connections}. With two variables set,")
    print(
        "\n    export CLOUDFLARE_ACCOUNT_ID=...\n    export CLOUDFLARE_API_TOKEN=...\n"
        "    .venv/bin/python -m examples.cloudflare\n"
    )
    say("runs this tour against the real service.")


if __name__ == "__main__":
    main()
