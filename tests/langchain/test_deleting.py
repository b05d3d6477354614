from __future__ import annotations

from typing import Any, TypeVar

import pytest

from tests.stores import Call, Make, Recorder, both_ways
from vectorize_core import PartialWriteError, VectorizeClient
from vectorize_core.api.operations import DeleteByIds, Op
from vectorize_core.errors import error_from_answer
from vectorize_core.texts import SqliteTexts
from vectorize_core.transport.executor import Answer

T = TypeVar("T")
IMPOSSIBLE = ("", "x" * 65)


class Refusing(Recorder):
    """An executor for which every delete but the first is forbidden."""

    def send(self, op: Op[T], /) -> Answer[T]:
        self._refuse(op)
        return super().send(op)

    async def asend(self, op: Op[T], /) -> Answer[T]:
        self._refuse(op)
        return await super().asend(op)

    def _refuse(self, op: Op[Any]) -> None:
        if isinstance(op, DeleteByIds) and self.of(DeleteByIds):
            raise error_from_answer(str(op), 403, ())


@pytest.mark.parametrize("bound", [False, True], ids=["store", "tenant"])
@pytest.mark.parametrize("with_texts", [False, True], ids=["short", "long texts"])
@both_ways
async def test_a_delete_that_ends_early_accounts_for_every_id_that_was_given(
    client: VectorizeClient, make: Make, call: Call, with_texts: bool, bound: bool
) -> None:
    client.connection.executor = Refusing(client.connection.executor)
    store = make(texts=SqliteTexts() if with_texts else None)
    store = store.with_namespace("acme") if bound else store
    ids = await call(store, "add_texts", [f"text {n}" for n in range(250)])
    given = [*IMPOSSIBLE, *ids[:125], *IMPOSSIBLE, *ids[125:]]
    with pytest.raises(PartialWriteError) as caught:
        await call(store, "delete", given)
    error = caught.value
    assert sorted([*error.written, *error.unknown, *error.not_written]) == [*range(len(given))]
    left = {document.id for document in await call(store, "get_by_ids", ids)}
    assert {given[position] for position in error.not_written} == left
    assert {given[position] for position in error.written} == {*given} - left
