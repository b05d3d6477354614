"""Scores and values are printed as the shortest decimals of their float32."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.server.helpers import DIMENSIONS, Peer, record
from vectorize_core import IndexConfig, Vector, VectorizeClient, scoring
from vectorize_core.local import Service

METRICS = ("cosine", "euclidean", "dot-product")
RANDOM = np.random.default_rng(7)
SIZES = (1.0, 1e-6, 1e15, 3e38)


def rows(size: float) -> list[list[float]]:
    drawn = (RANDOM.standard_normal((12, DIMENSIONS)) / 4).clip(-1, 1) * size
    return [[float(value) for value in row] for row in drawn.astype(np.float32)]


def is_short(text: str) -> bool:
    """Whether it is the shortest decimal of a float32: at most nine digits that count."""
    digits = text.lower().split("e")[0].replace(".", "").strip("-0")
    return len(digits) <= 9 and float(text) == float(str(np.float32(text)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("metric", METRICS)
def test_scores_and_values_are_short_and_the_same_float32_on_every_way(
    peer: Peer, metric: str, size: float
) -> None:
    vectors, name = rows(size), f"s-{peer.account}"
    local = Peer(peer.base_url)
    local.create(name, metric)
    local.write(*(record(str(n), row) for n, row in enumerate(vectors)), name=name)
    query: dict[str, Any] = {"vector": vectors[0], "topK": 12, "returnValues": True}
    exact = scoring.scores(
        metric,  # type: ignore[arg-type]
        np.array(vectors, np.float32),
        np.array(vectors[0], np.float32),
    )
    service = Service()
    service.create_index(name, IndexConfig(DIMENSIONS, metric))  # type: ignore[arg-type]
    service.upsert(name, [Vector(str(n), row) for n, row in enumerate(vectors)])
    embedded = service.query(name, vector=np.array(vectors[0], np.float32), top_k=12)
    client = VectorizeClient(base_url=peer.base_url)
    read = client.index(name).query(vectors[0], top_k=12)
    rest = local.send("POST", f"/{name}/query", query)
    binding = local.send("POST", "~/query", query, headers={"x-vectorize-index": name})
    for answer in (rest.text, binding.text):
        told = json.loads(answer, parse_float=str, parse_int=str)
        matches = told.get("result", told)["matches"]
        assert [match["id"] for match in matches] == [match.id for match in embedded.matches]
        for match, ours, theirs in zip(matches, embedded.matches, read, strict=True):
            assert np.float32(match["score"]) == exact[int(match["id"])]
            assert is_short(match["score"]), match["score"]
            assert float(match["score"]) == ours.score == theirs.score
            assert [np.float32(text) for text in match["values"]] == vectors[int(match["id"])]
            assert all(map(is_short, match["values"]))
    client.close()
    service.close()
    local.close()


def test_a_score_that_was_long(docs: Peer) -> None:
    angle = np.arccos(0.8765432)
    docs.write(record("a", [float(np.cos(angle)), float(np.sin(angle)), *[0.0] * 30]))
    answer = docs.send("POST", "/docs/query", {"vector": [1.0, *[0.0] * 31]})
    assert '"score":0.8765432,' in answer.text.replace("}", ",")


@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_many_queries_score_as_one(many: bool) -> None:
    vectors = [np.array(row, np.float32) for row in rows(1.0)]
    service = Service()
    service.create_index("docs", IndexConfig(DIMENSIONS))
    service.upsert("docs", [Vector(str(n), row) for n, row in enumerate(vectors)])
    found = (
        service.query_many("docs", vectors)
        if many
        else [service.query("docs", vector=vector) for vector in vectors]
    )
    for result in found:
        for match in result.matches:
            assert repr(match.score) == repr(float(str(np.float32(match.score))))
    service.close()
