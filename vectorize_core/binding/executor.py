"""`BindingExecutor`: carries the calls of Vectorize out through ``env.VECTORIZE`` of a Worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, cast

from vectorize_core.api import operations as ops
from vectorize_core.api.operations import Op
from vectorize_core.binding.calling import Calling, refuse_sync
from vectorize_core.binding.calls import CALLS, METHODS
from vectorize_core.binding.errors import vectorize_error
from vectorize_core.binding.values import check_methods, values_of
from vectorize_core.errors import ConfigurationError, UnexpectedAnswerError, UnsupportedCallError
from vectorize_core.models import IndexConfig, IndexDetails, IndexType, MetadataIndex, Metric
from vectorize_core.transport.capabilities import BINDING
from vectorize_core.transport.executor import Answer

T = TypeVar("T")
_ROUNDING: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Declared:
    """What a binding does not tell of its index.

    ``name`` is None if any name will do: a binding is one index, and does not say which.
    """

    name: str | None = None
    metric: Metric = "cosine"
    metadata_indexes: Mapping[str, IndexType] = field(default_factory=dict)
    description: str = ""


class BindingExecutor:
    """The one index of a binding; what it holds belongs to the Worker, so there is no end of it."""

    def __init__(self, binding: Any, declared: Declared, timeout: float | None = None) -> None:
        check_methods(binding, METHODS, "a Vectorize index, such as env.VECTORIZE of a Worker")
        self._binding = binding
        self._declared = declared
        self._values = values_of(binding)
        self._calling = Calling(vectorize_error, timeout)

    def send(self, op: Op[T], /) -> Answer[T]:
        """Raise that it can only be awaited."""
        refuse_sync(op)

    async def asend(self, op: Op[T], /) -> Answer[T]:
        """Carry ``op`` out; raises its typed error."""
        declared = self._declared
        if type(op) in BINDING.lacking:
            raise UnsupportedCallError(
                f"{op}: the binding of a Worker has no such call. Over REST there is one: "
                "VectorizeClient(account_id=..., api_token=...)"
            )
        if declared.name is not None and op.target != declared.name:
            raise ConfigurationError(f"{op}: this binding is of the index {declared.name!r}")
        if isinstance(op, ops.ListMetadataIndexes):
            listed = declared.metadata_indexes.items()
            return Answer(cast("T", tuple(MetadataIndex(*one) for one in listed)))
        if isinstance(op, ops.GetIndex):
            info = await self._call(ops.GetInfo(op.index))
            config = IndexConfig(info.dimensions, declared.metric)
            return Answer(cast("T", IndexDetails(op.index, config, declared.description)))
        return Answer(await self._call(op))

    async def _call(self, op: Op[T]) -> T:
        if getattr(op, "unparsable_behavior", None) is not None:
            raise UnsupportedCallError(
                f"{op}: unparsable_behavior is an option of REST, which no binding has"
            )
        method, arguments = CALLS[type(op)](op)
        call = getattr(self._binding, method)
        given = [await self._values.given(argument) for argument in arguments]
        found = await self._calling.answer(op, lambda: call(*given))
        try:
            result = op.read(await self._values.found(found))
        except UnexpectedAnswerError as error:
            raise UnexpectedAnswerError(
                f"{op}: the answer is not what the API documents: {error}"
            ) from None
        if isinstance(op, ops.Query):
            self._check_order(op, [match.score for match in cast("Any", result).matches])
        return result

    def _check_order(self, op: ops.Query, scores: list[float]) -> None:
        """Raise if scores get better in the wrong direction for the metric that was declared."""
        metric = self._declared.metric
        if not scores or metric == "dot-product":
            return
        risen = scores[-1] - scores[0]
        if (risen if metric == "cosine" else -risen) > _ROUNDING * max(map(abs, scores)):
            way = "fall" if risen < 0 else "rise"
            raise ConfigurationError(
                f"{op}: the scores {way}, so the metric of the index is not {metric!r}. A binding "
                "does not tell it: give metric= as the index has it"
            )

    def check(self) -> None:
        """Do nothing: what is the Worker's is not closed."""

    def close(self) -> None:
        """Do nothing: the binding is the Worker's."""

    async def aclose(self) -> None:
        """Do nothing: the binding is the Worker's."""
