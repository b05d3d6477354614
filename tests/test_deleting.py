"""Deleting from both stores, where it ends early."""

from __future__ import annotations

from typing import Any, TypeVar

import pytest

from tests.kinds import Kind, both_stores
from tests.stores import Call, Recorder, both_ways
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


@both_stores
@both_ways
@pytest.mark.parametrize("with_texts", [False, True], ids=["short", "long texts"])
@pytest.mark.parametrize("bound", [False, True], ids=["store", "tenant"])
@pytest.mark.covering(2)
async def test_a_delete_that_ends_early_accounts_for_every_id(
    kind: Kind, client: VectorizeClient, call: Call, with_texts: bool, bound: bool
) -> None:
    client.connection.executor = Refusing(client.connection.executor)
    store = kind.over(client, texts=SqliteTexts() if with_texts else None)
    store = store.with_namespace("acme") if bound else store
    ids = await kind.add(call, store, *(f"text {n}" for n in range(250)))
    # A tenant's id may be of any length: a digest of it is stored.
    impossible = IMPOSSIBLE[:1] if bound else IMPOSSIBLE
    given = [*impossible, *ids[:125], *impossible, *ids[125:]]
    with pytest.raises(PartialWriteError) as caught:
        await kind.delete(call, store, given)
    error = caught.value
    assert sorted([*error.written, *error.unknown, *error.not_written]) == [*range(len(given))]
    left = {row[0] for row in await kind.get(call, store, ids)}
    assert {given[position] for position in error.not_written} == left
    assert {given[position] for position in error.written} == {*given} - left
