"""Each mode of search, on a labelled set."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from benchmarks.retrieval.embedding import Remembered
from benchmarks.retrieval.figures import DEPTH, Place
from benchmarks.retrieval.labelled import LabelledSet
from vectorize_core import SqliteTextIndex, VectorizeClient
from vectorize_core.records.fusion import COMPARED, DEFAULT_ALPHA, Leg, fused
from vectorize_core.texts.fts import TextRow
from vectorize_core.transport.io import run

DENSE, WORDS, RRF = "dense", "words", "hybrid, rrf"
HYBRID: Final = f"hybrid, alpha {DEFAULT_ALPHA}"
"""As it is by default."""

MODES: Final[dict[str, dict[str, Any]]] = {
    DENSE: {"alpha": 1.0},
    WORDS: {"alpha": 0.0},
    **{f"hybrid, alpha {alpha}": {"alpha": alpha} for alpha in (0.4, 0.5, 0.6, 0.7, 0.8)},
    RRF: {"fusion": "rrf"},
}
"""How both legs are fused, by the name of the mode."""


def measure(labelled: LabelledSet, embeddings: Remembered) -> dict[str, list[Place]]:
    """Where each mode finds the answers: a place for each query, in their order."""
    names = list(labelled.documents)
    texts = list(labelled.documents.values())
    rows = np.array(embeddings.embed_documents(texts))
    places: dict[str, list[Place]] = {mode: [] for mode in MODES}
    words = SqliteTextIndex()
    with VectorizeClient.local() as client:
        io = client.connection.io()
        put = [TextRow(name, None, text, {}) for name, text in labelled.documents.items()]
        run(words.put(io, labelled.name, put, "once"))
        for query in labelled.queries:
            scores = rows @ np.array(embeddings.embed_query(query.text))
            best = np.argsort(-scores, kind="stable")[:COMPARED]
            near = [(names[at], float(scores[at])) for at in best]
            hits = run(words.find(io, labelled.name, query.text, limit=COMPARED))
            by_words = [(hit.id, hit.score) for hit in hits]
            for mode, options in MODES.items():
                ranked = _ranked(mode, near, by_words, **options)[:DEPTH]
                place = ranked.index(query.answer) if query.answer in ranked else None
                places[mode].append(place)
    words.close()
    return places


def _ranked(
    mode: str,
    near: Leg,
    by_words: Leg,
    alpha: float = DEFAULT_ALPHA,
    fusion: Any = "relative",
) -> list[str]:
    legs = near if mode != WORDS else (), by_words if mode != DENSE else ()
    return [name for name, _ in fused(*legs, alpha=alpha, fusion=fusion)]
