"""Searches: by a vector, by many, by words, by sparse vectors, and by words and a vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import ArrayLike

from vectorize_core.api import validation
from vectorize_core.lynse import answers, binary, checks
from vectorize_core.lynse.dialect import Dialect
from vectorize_core.lynse.models import BinaryHits, Hits, SparseVector
from vectorize_core.lynse.operations.base import OnCollection, OverBytes
from vectorize_core.lynse.operations.records import in_order
from vectorize_core.lynse.operations.vector_fields import as_json
from vectorize_core.lynse.wire import Form


@dataclass(frozen=True, slots=True)
class Search(OnCollection[Hits]):
    """The records nearest to a vector, or whose named vector is."""

    vector: ArrayLike
    k: int = 10
    where: str | None = None
    return_fields: bool = False
    nprobe: int | None = None
    field_name: str | None = None
    approx: bool | None = None
    eps: float | None = None
    path: ClassVar[str] = "/search"

    def _check(self) -> None:
        _check_search(self)
        self._settle(vector=checks.query(self.vector))
        if self.field_name is not None:
            self._settle(field_name=checks.field_name(self.field_name))
        if self.approx is not None:
            self._settle(approx=validation.flag("approx", self.approx))
        if self.eps is not None:
            self._settle(eps=checks.number("eps", self.eps))

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        # The page calls it ``field_name``, of which servers take no notice.
        return {
            "vector": self.vector,
            "vector_field": self.field_name,
            "approx": self.approx,
            "eps": self.eps,
            **_asked(self),
        }

    def read(self, result: Any) -> Hits:
        return answers.read_hits(result.get("items"), "items", self.k, self.return_fields)


def _check_search(op: Any) -> None:
    """What most searches have in common."""
    settled = {
        "k": checks.hits(op.k),
        "where": checks.where(op.where),
        "return_fields": validation.flag("return_fields", op.return_fields),
    }
    if getattr(op, "nprobe", None) is not None:
        settled["nprobe"] = validation.whole_number("nprobe", op.nprobe, least=1)
    for name, value in settled.items():
        object.__setattr__(op, name, value)


def _asked(op: Any) -> dict[str, Any]:
    return {
        "k": op.k,
        "where": op.where,
        "return_fields": op.return_fields or None,
        "nprobe": getattr(op, "nprobe", None),
    }


@dataclass(frozen=True, slots=True)
class SearchBinary(OverBytes[BinaryHits]):
    """`Search` over the binary protocol."""

    vector: ArrayLike
    k: int = 10
    where: str | None = None
    return_fields: bool = False
    nprobe: int | None = None
    path: ClassVar[str] = "/search_binary"
    form: ClassVar[Form] = "bytes"

    def _check(self) -> None:
        _check_search(self)
        self._settle(vector=checks.query(self.vector))

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        return {"dim": len(self.vector), **_asked(self)}  # type: ignore[arg-type]

    def content(self) -> tuple[bytes, ...]:
        return (in_order(self.vector),)

    def read(self, result: Any) -> BinaryHits:
        return binary.read_hits(result, self.k)


@dataclass(frozen=True, slots=True)
class BatchSearch(OnCollection[tuple[Hits, ...]]):
    """`Search` for each of many vectors."""

    vectors: Any
    k: int = 10
    where: str | None = None
    return_fields: bool = False
    nprobe: int | None = None
    path: ClassVar[str] = "/batch_search"

    def _check(self) -> None:
        _check_search(self)
        self._settle(vectors=checks.vectors(self.vectors))

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        return {"vectors": self.vectors, **_asked(self)}

    def read(self, result: Any) -> tuple[Hits, ...]:
        found = answers.a_list(result.get("results"), "results", len(self.vectors))
        return tuple(
            [
                answers.read_hits(one, f"results[{at}]", self.k, self.return_fields)
                for at, one in enumerate(found)
            ]
        )


@dataclass(frozen=True, slots=True)
class BatchSearchBinary(OverBytes[tuple[BinaryHits, ...]]):
    """`BatchSearch` over the binary protocol."""

    vectors: Any
    k: int = 10
    where: str | None = None
    return_fields: bool = False
    nprobe: int | None = None
    path: ClassVar[str] = "/batch_search_binary"
    form: ClassVar[Form] = "bytes"

    def _check(self) -> None:
        _check_search(self)
        self._settle(vectors=checks.vectors(self.vectors))

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        count, dim = self.vectors.shape
        return {"dim": dim, "n_queries": count, **_asked(self)}

    def content(self) -> tuple[bytes, ...]:
        return (in_order(self.vectors),)

    def read(self, result: Any) -> tuple[BinaryHits, ...]:
        return binary.read_batch(result, len(self.vectors), self.k)


@dataclass(frozen=True, slots=True)
class SearchRange(OnCollection[Hits]):
    """All records that are at least so near; it may miss what was not committed yet."""

    vector: ArrayLike
    threshold: float
    max_results: int = 1_000
    path: ClassVar[str] = "/search_range"

    def _check(self) -> None:
        self._settle(
            vector=checks.query(self.vector),
            threshold=checks.number("threshold", self.threshold),
            max_results=checks.hits(self.max_results, "max_results"),
        )

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        return {
            "vector": self.vector,
            "threshold": self.threshold,
            "max_results": self.max_results,
        }

    def read(self, result: Any) -> Hits:
        found = answers.an_object(result.get("result"), "result")
        return answers.read_hits(found, "result", self.max_results, False, scores="distances")


@dataclass(frozen=True, slots=True)
class SearchProfile(OnCollection[Hits]):
    """`Search`, and what it took."""

    vector: ArrayLike
    k: int = 10
    where: str | None = None
    return_fields: bool = False
    nprobe: int | None = None
    path: ClassVar[str] = "/search_profile"

    def _check(self) -> None:
        _check_search(self)
        self._settle(vector=checks.query(self.vector))

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        return {"vector": self.vector, **_asked(self)}

    def read(self, result: Any) -> Hits:
        hits = answers.read_hits(result.get("items"), "items", self.k, self.return_fields)
        profile = answers.an_object(result.get("profile"), "profile")
        return Hits(hits.ids, hits.scores, hits.fields, profile)


@dataclass(frozen=True, slots=True)
class TextSearch(OnCollection[Hits]):
    """The records whose metadata have words of a text, by BM25; all fields, or some."""

    text: str
    text_fields: Sequence[str] | None = None
    k: int = 10
    where: str | None = None
    return_fields: bool = False
    path: ClassVar[str] = "/text_search"

    def _check(self) -> None:
        _check_search(self)
        _check_text(self)

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        return {"text": self.text, "text_fields": self.text_fields, **_asked(self)}

    def read(self, result: Any) -> Hits:
        return answers.read_hits(result.get("items"), "items", self.k, self.return_fields)


def _check_text(op: Any) -> None:
    object.__setattr__(op, "text", checks.text("text", op.text))
    if op.text_fields is not None:
        fields = validation.several("text_fields", op.text_fields)
        names = [checks.text(f"text_fields[{at}]", one) for at, one in enumerate(fields)]
        object.__setattr__(op, "text_fields", tuple(names))


@dataclass(frozen=True, slots=True)
class SparseSearch(OnCollection[Hits]):
    """The records with the largest dot product of sparse vectors."""

    vector: SparseVector
    k: int = 10
    where: str | None = None
    return_fields: bool = False
    path: ClassVar[str] = "/sparse_search"

    def _check(self) -> None:
        _check_search(self)
        self._settle(vector=checks.sparse(self.vector))

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        return {"vector": as_json(self.vector), **_asked(self)}

    def read(self, result: Any) -> Hits:
        return answers.read_hits(result.get("items"), "items", self.k, self.return_fields)


@dataclass(frozen=True, slots=True)
class HybridSearch(OnCollection[Hits]):
    """`Search` and `TextSearch` as one ranking.

    "rrf" adds ``1 / (rrf_k + rank)`` of both, "weighted" their scores scaled to 0 to 1.
    """

    vector: ArrayLike
    text: str
    text_fields: Sequence[str] | None = None
    fusion: str = "rrf"
    k: int = 10
    where: str | None = None
    return_fields: bool = False
    nprobe: int | None = None
    vector_weight: float | None = None
    text_weight: float | None = None
    rrf_k: int | None = None
    candidate_limit: int | None = None
    path: ClassVar[str] = "/hybrid_search"

    def _check(self) -> None:
        _check_search(self)
        _check_text(self)
        self._settle(
            fusion=checks.text("fusion", validation.one_of("fusion", self.fusion, checks.FUSIONS)),
            vector=checks.query(self.vector),
        )
        for name in ("vector_weight", "text_weight"):
            if getattr(self, name) is not None:
                weight = validation.number(name, getattr(self, name), least=0, most=1e9)
                self._settle(**{name: weight})
        if self.rrf_k is not None:
            self._settle(rrf_k=validation.whole_number("rrf_k", self.rrf_k, least=1))
        if self.candidate_limit is not None:
            self._settle(candidate_limit=checks.hits(self.candidate_limit, "candidate_limit"))

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        return {
            "vector": self.vector,
            "text": self.text,
            "text_fields": self.text_fields,
            "fusion": self.fusion,
            "vector_weight": self.vector_weight,
            "text_weight": self.text_weight,
            "rrf_k": self.rrf_k,
            "candidate_limit": self.candidate_limit,
            **_asked(self),
        }

    def read(self, result: Any) -> Hits:
        return answers.read_hits(result.get("items"), "items", self.k, self.return_fields)
