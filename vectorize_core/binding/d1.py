"""`D1Executor`: carries SQL out through ``env.DB`` of a Worker, a binding of a D1 database.

https://developers.cloudflare.com/d1/worker-api/
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeVar, cast

from vectorize_core.api.d1 import ReadD1
from vectorize_core.api.operations import Op
from vectorize_core.binding.calling import Calling, refuse_sync
from vectorize_core.binding.errors import d1_error
from vectorize_core.binding.values import check_methods, values_of
from vectorize_core.errors import UnexpectedAnswerError, UnsupportedCallError, in_words
from vectorize_core.transport.executor import Answer

T = TypeVar("T")
_METHODS: Final = ("prepare", "batch")
_NUMBER: Final = re.compile("0|[1-9][0-9]*").fullmatch


class D1Executor:
    """The one database of a binding."""

    def __init__(self, binding: Any) -> None:
        check_methods(binding, _METHODS, "a D1 database, such as env.DB of a Worker")
        self._binding = binding
        self._values = values_of(binding)
        self._calling = Calling(d1_error)

    def send(self, op: Op[T], /) -> Answer[T]:
        """Raise that it can only be awaited."""
        refuse_sync(op)

    async def asend(self, op: Op[T], /) -> Answer[T]:
        """Carry the statements of ``op`` out, all or none; raises its typed error."""
        if not isinstance(op, ReadD1):
            raise UnsupportedCallError(f"{op}: the binding of a database takes SQL only")
        answer = await self._calling.answer(op, lambda: self._promised(op))
        try:
            found = await self._values.found(answer)
            # One statement has lists for rows; of several each has objects.
            rows = [found] if len(op.statements) == 1 else [*map(_rows, found)]
            return Answer(cast("T", op.read([{"results": {"rows": some}} for some in rows])))
        except (UnexpectedAnswerError, KeyError, TypeError, AttributeError) as error:
            raise UnexpectedAnswerError(
                f"{op}: the answer is not what the API documents: {in_words(error)}"
            ) from None

    def _promised(self, op: ReadD1) -> Any:
        prepared = [
            self._binding.prepare(sql).bind(*parameters) for sql, parameters in op.statements
        ]
        if len(prepared) == 1:
            return prepared[0].raw()
        return self._binding.batch(self._values.array(prepared))

    def check(self) -> None:
        """Do nothing: what is the Worker's is not closed."""

    def close(self) -> None:
        """Do nothing: the binding is the Worker's."""

    async def aclose(self) -> None:
        """Do nothing: the binding is the Worker's."""


def _rows(result: Any) -> list[list[Any]]:
    """The rows of a result as lists, in the order of their columns, whose names must differ."""
    rows = result["results"]
    names = [*rows[0]] if rows else []
    if len(names) > 1 and (numbers := [*filter(_NUMBER, names)]):
        raise UnexpectedAnswerError(
            f"the column {numbers[0]!r} comes first in JavaScript, wherever the statement has it: "
            "give it another name, by AS"
        )
    return [[*row.values()] for row in rows]
