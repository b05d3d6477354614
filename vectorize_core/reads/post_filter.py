"""What a plan leaves to be evaluated, on answers as they come."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from vectorize_core import jsontext
from vectorize_core.errors import IncompleteAnswerError
from vectorize_core.filters.ast import Where
from vectorize_core.filters.constraint import EXACT_BYTES, EXACT_INTEGERS, kind_of
from vectorize_core.filters.evaluate import Matcher, matcher
from vectorize_core.filters.plan import Plan
from vectorize_core.filters.push import leaves
from vectorize_core.layout import Record
from vectorize_core.models import IndexType, Match, Metadata, ReturnMetadata, Vector
from vectorize_core.transport.io import Io

ReadRecord: TypeAlias = Callable[[str, Metadata | None], Record]
"""The record in a vector's metadata, as filters see it."""


class Preparing(ABC):
    """A `ReadRecord` that can get what does not stand in a vector's metadata: its text."""

    @abstractmethod
    def __call__(self, vector_id: str, metadata: Metadata | None, /) -> Record:
        """The record in a vector's metadata, with what was prepared for it."""

    @abstractmethod
    async def prepare(self, io: Io, vectors: Sequence[Match | Vector], /) -> None:
        """Get what the metadata of these vectors does not hold."""


def raw_record(vector_id: str, metadata: Metadata | None) -> Record:
    """`ReadRecord` for vectors as they are: their metadata, and no text."""
    return Record(vector_id, None, dict(metadata) if metadata is not None else {})


@dataclass(slots=True)
class Sieve:
    """Says of each match whether the plan's expression holds, None where more must be read."""

    plan: Plan
    read: ReadRecord = raw_record
    _residual: Matcher | None = field(init=False)

    def __post_init__(self) -> None:
        residual = self.plan.residual
        self._residual = None if residual is None else matcher(residual)

    async def prepare(self, io: Io, vectors: Sequence[Match | Vector]) -> None:
        """To be awaited before verdicts on vectors with their whole metadata.

        Only a function looks at a text.
        """
        if isinstance(self.read, Preparing) and any(
            isinstance(leaf, Where) for leaf in leaves(self.plan.expression)
        ):
            await self.read.prepare(io, vectors)

    @property
    def open(self) -> bool:
        """Whether everything passes."""
        return self._residual is None

    @property
    def needs(self) -> ReturnMetadata:
        """The metadata to ask for: none, or what mostly suffices."""
        if self._residual is None:
            return "none"
        return "indexed" if self.plan.readable is not None else "all"

    def passes(self, match: Match, given: ReturnMetadata) -> bool | None:
        """Whether a match is one, going by metadata of the kind ``given``."""
        if self._residual is None:
            return True
        if given == "all":
            return self._residual(self.read(match.id, match.metadata))
        if given == "none" or self.plan.readable is None:
            return None
        shown = _sure_values(match.metadata or {}, self.plan)
        return None if shown is None else self._residual(Record(match.id, None, shown))

    def holds(self, vector: Vector) -> bool:
        """Whether a vector that has passed a branch, and was read whole, is a match."""
        return self._residual is None or self._residual(self.read(vector.id, vector.metadata))

    def selects(self, vector: Vector) -> bool:
        """Whether a vector of which nothing is known is a match."""
        plan = self.plan
        if not plan.complete:
            raise IncompleteAnswerError(
                "more matches than one answer of the service holds, and a filter in the service's "
                "own language cannot be evaluated here. Use filter= instead of vectorize_filter=, "
                "or an index made with record_layout=True"
            )
        metadata = vector.metadata or {}
        inside = all(metadata.get(name) in given for name, given in plan.within.items())
        return inside and matcher(plan.expression)(self.read(vector.id, vector.metadata))


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
