"""The post-filter: what a plan leaves to be evaluated here, on answers as they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from vectorize_core import jsontext
from vectorize_core.errors import IncompleteAnswerError
from vectorize_core.filters.ast import Where
from vectorize_core.filters.evaluate import Matcher, matcher
from vectorize_core.filters.plan import Plan
from vectorize_core.filters.push import EXACT_BYTES, EXACT_INTEGERS, kind_of, leaves
from vectorize_core.layout import Record
from vectorize_core.models import IndexType, Match, ReturnMetadata, Vector
from vectorize_core.transport.io import Io


class ReadRecords(Protocol):
    """Makes records of vectors, as filters see them."""

    async def __call__(
        self, io: Io, vectors: Sequence[Match | Vector], /, *, texts: bool
    ) -> Sequence[Record]:
        """Their records, in order; with ``texts`` also texts that stand outside their vectors."""


async def raw_records(
    io: Io, vectors: Sequence[Match | Vector], /, *, texts: bool
) -> Sequence[Record]:
    """`ReadRecords` for vectors as they are: their metadata, and no text."""
    return [Record(v.id, None, dict(v.metadata) if v.metadata else {}) for v in vectors]


@dataclass(slots=True)
class PostFilter:
    """Evaluates here what the service cannot: the residual of a plan."""

    plan: Plan
    read: ReadRecords = raw_records
    _residual: Matcher | None = field(init=False)

    def __post_init__(self) -> None:
        residual = self.plan.residual
        self._residual = None if residual is None else matcher(residual)

    @property
    def passes_all(self) -> bool:
        """Whether nothing is left to be evaluated."""
        return self._residual is None

    @property
    def needs(self) -> ReturnMetadata:
        """The metadata to ask for: none, or what mostly suffices."""
        if self._residual is None:
            return "none"
        return "indexed" if self.plan.readable is not None else "all"

    async def verdicts(
        self, io: Io, matches: Sequence[Match], given: ReturnMetadata
    ) -> list[bool | None]:
        """Whether each match passes, going by metadata of the kind ``given``.

        None where the vector must be read whole to tell.
        """
        residual, plan = self._residual, self.plan
        if residual is None:
            return [True] * len(matches)
        if given == "all":
            return [residual(record) for record in await self._records(io, matches)]
        if given == "none" or plan.readable is None:
            return [None] * len(matches)
        shown = [_sure_values(match.metadata or {}, plan) for match in matches]
        return [
            None if values is None else residual(Record(match.id, None, values))
            for match, values in zip(matches, shown, strict=True)
        ]

    async def passing(self, io: Io, vectors: Sequence[Vector]) -> list[Vector]:
        """Those of ``vectors`` that pass; they came out of a branch, and were read whole."""
        residual = self._residual
        if residual is None:
            return list(vectors)
        records = await self._records(io, vectors)
        return [v for v, record in zip(vectors, records, strict=True) if residual(record)]

    async def select(
        self, io: Io, vectors: Sequence[Vector], namespace: str | None = None
    ) -> list[Vector]:
        """Those of ``vectors`` that the whole filter matches, in a namespace unless None."""
        plan = self.plan
        inside = [v for v in vectors if namespace is None or v.namespace == namespace]
        if inside and not plan.complete:
            raise IncompleteAnswerError(
                "more matches than one answer of the service holds, and vectorize_filter=, which "
                "is in the service's own language, cannot be evaluated here. Write it in this "
                "library's own form, or use an index made with record_layout=True"
            )
        inside = [
            vector
            for vector in inside
            if all((vector.metadata or {}).get(name) in plan.within[name] for name in plan.within)
        ]
        matches = matcher(plan.expression)
        records = await self._records(io, inside)
        return [v for v, record in zip(inside, records, strict=True) if matches(record)]

    async def _records(self, io: Io, vectors: Sequence[Match | Vector]) -> Sequence[Record]:
        # Only a function looks at a text.
        texts = any(isinstance(leaf, Where) for leaf in leaves(self.plan.expression))
        return await self.read(io, vectors, texts=texts)


def _sure_values(metadata: Mapping[str, Any], plan: Plan) -> dict[str, Any] | None:
    """The properties of the residual, if all are there as they are: typed, and not cut short."""
    readable = plan.readable if plan.readable is not None else {}
    shown = {path: metadata.get(path) for path in readable}
    return shown if all(_is_sure(shown[path], kind) for path, kind in readable.items()) else None


def _is_sure(value: Any, kind: IndexType) -> bool:
    if kind_of(value) != kind:
        return False
    if isinstance(value, str):
        return jsontext.utf8_size(value) <= EXACT_BYTES
    # A larger integer is shown as a float, and exactly inside _vs.
    return bool(abs(value) < EXACT_INTEGERS)
