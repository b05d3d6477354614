"""Each mode of search, on a labelled set, through LangChain's store."""

from __future__ import annotations

from typing import Any, Final

from langchain_core.embeddings import Embeddings

from benchmarks.retrieval.figures import DEPTH, Place
from benchmarks.retrieval.labelled import LabelledSet
from langchain_vectorize import VectorizeVectorStore
from vectorize_core.records.fusion import DEFAULT_ALPHA

DENSE, WORDS, RRF = "dense", "words", "hybrid, rrf"
HYBRID: Final = f"hybrid, alpha {DEFAULT_ALPHA}"
"""As it is by default."""

MODES: Final[dict[str, dict[str, Any]]] = {
    DENSE: {"retrieval_mode": "dense"},
    WORDS: {"retrieval_mode": "text"},
    **{
        f"hybrid, alpha {alpha}": {"retrieval_mode": "hybrid", "alpha": alpha}
        for alpha in (0.4, 0.5, 0.6, 0.7, 0.8)
    },
    RRF: {"retrieval_mode": "hybrid", "fusion": "rrf"},
}
"""The arguments of a search, by the name of its mode."""


def measure(labelled: LabelledSet, embeddings: Embeddings) -> dict[str, list[Place]]:
    """Where each mode finds the answers: a place for each query, in their order."""
    # Numbers stand for ids, which may be longer than the service allows.
    numbers = {name: str(number) for number, name in enumerate(labelled.documents)}
    places: dict[str, list[Place]] = {mode: [] for mode in MODES}
    with VectorizeVectorStore(
        embeddings, index_name=labelled.name, path=":memory:", text_index=True
    ) as store:
        store.add_texts(labelled.documents.values(), ids=numbers.values())
        for mode, options in MODES.items():
            for query in labelled.queries:
                found = store.similarity_search(query.text, k=DEPTH, **options)
                ranked = [document.id for document in found]
                answer = numbers[query.answer]
                places[mode].append(ranked.index(answer) if answer in ranked else None)
    return places
