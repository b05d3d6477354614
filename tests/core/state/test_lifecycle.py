"""Creating and deleting indexes and metadata indexes: what is refused, what a lost answer does."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from tests.core.helpers import Variant, both_variants
from vectorize_core import layout
from vectorize_core.api.operations import (
    CreateIndex,
    CreateMetadataIndex,
    DeleteIndex,
    DeleteMetadataIndex,
    ListIndexes,
    ListMetadataIndexes,
    Op,
)
from vectorize_core.connection import Connection
from vectorize_core.errors import (
    ApiError,
    BadRequestError,
    ConfigurationError,
    ConnectionFailedError,
    IndexExistsError,
    IndexNotFoundError,
    InvalidInputError,
    ServerError,
    WaitTimeoutError,
)
from vectorize_core.local import Behavior, Service
from vectorize_core.local.executor import EmbeddedExecutor
from vectorize_core.models import PRESETS, IndexConfig
from vectorize_core.state import lifecycle, metadata_indexes
from vectorize_core.transport.io import Io, run
from vectorize_core.transport.retry import RetryPolicy

QUICK = RetryPolicy(read_deadline=5, write_deadline=5, first_delay=0.001, max_delay=0.002)


class Account:
    """An embedded Vectorize, and one variant to it; ``faults`` come instead of, or after, an op."""

    def __init__(self, variant: Variant, **delays: float) -> None:
        self.variant = variant
        self.service = Service(behavior=Behavior(**cast("Any", delays)))
        executor = cast("Any", EmbeddedExecutor(self.service))
        self.connection = Connection(executor, QUICK)
        self.sent: list[Op[Any]] = []
        self.fault: Callable[[Op[Any]], Exception | None] = lambda op: None
        self.carried_out_first = False
        self._send = executor.send
        executor.send = self._tap

    def _tap(self, op: Op[Any]) -> Any:
        self.sent.append(op)
        error = self.fault(op)
        if error is not None:
            if self.carried_out_first:
                self._send(op)
            raise error
        return self._send(op)

    def lose(self, kind: type[Op[Any]], error: Exception, *, carried_out: bool, times: int) -> None:
        """Answer the next ``times`` operations of a kind with ``error``."""
        self.carried_out_first = carried_out

        def fault(op: Op[Any]) -> Exception | None:
            nonlocal times
            times -= isinstance(op, kind)
            return error if isinstance(op, kind) and times >= 0 else None

        self.fault = fault

    @property
    def io(self) -> Io:
        return self.connection.async_io() if self.variant.is_async else self.connection.io()

    async def run(self, flow: Any) -> Any:
        return await flow if self.variant.is_async else run(flow)

    async def create(self, name: str = "docs", **options: Any) -> Any:
        return await self.run(
            lifecycle.create_index(self.io, self.connection.state(name), **options)
        )

    async def delete(self, name: str = "docs") -> None:
        await self.run(lifecycle.delete_index(self.io, self.connection.state(name)))

    async def index(self, property_name: Any, index_type: Any, name: str = "docs") -> Any:
        state = self.connection.state(name)
        return await self.run(
            metadata_indexes.create_metadata_index(self.io, state, property_name, index_type)
        )

    async def unindex(self, property_name: str) -> Any:
        state = self.connection.state("docs")
        return await self.run(metadata_indexes.delete_metadata_index(self.io, state, property_name))

    def indexed(self, name: str = "docs") -> dict[str, str]:
        return {m.property_name: m.index_type for m in self.service.list_metadata_indexes(name)}

    def count(self, kind: type[Op[Any]]) -> int:
        return sum(isinstance(op, kind) for op in self.sent)


Accounts = Callable[..., Account]


@pytest.fixture
def accounts() -> Iterator[Accounts]:
    made: list[Account] = []

    def make(variant: Variant, **delays: float) -> Account:
        made.append(Account(variant, **delays))
        return made[-1]

    yield make
    for account in made:
        account.connection.close()


@both_variants
async def test_an_index_is_made_for_records(variant: Variant, accounts: Accounts) -> None:
    account = accounts(variant)
    details = await account.create(
        dimensions=32, metadata_indexes={"year": "number"}, description="My docs"
    )
    assert details == account.service.get_index("docs")
    assert details.config == IndexConfig(32, "cosine")
    expected = {"_vs_bucket": "number", "_vs_own": "boolean", "_vs_ref": "string", "year": "number"}
    assert account.indexed() == expected
    assert details.description.startswith("My docs ")
    assert layout.read_note(details.description).properties == expected.keys()


@both_variants
async def test_an_index_is_made_for_something_else(variant: Variant, accounts: Accounts) -> None:
    account = accounts(variant)
    details = await account.create(
        dimensions=1536,
        metric="dot-product",
        record_layout=False,
        metadata_indexes={"year": "number"},
        description="Not ours",
    )
    assert details.config == IndexConfig(1536, "dot-product")
    assert account.indexed() == {"year": "number"}
    assert details.description == "Not ours"
    assert layout.read_note(details.description).properties == frozenset()


@both_variants
@pytest.mark.parametrize("preset", PRESETS)
async def test_a_preset_has_dimensions_and_metric(
    variant: Variant, accounts: Accounts, preset: Any
) -> None:
    details = await accounts(variant).create(preset=preset)
    assert (details.config.dimensions, details.config.metric) == PRESETS[preset]


@both_variants
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "either dimensions= or preset="),
        ({"dimensions": 32, "preset": "openai/text-embedding-ada-002"}, "either"),
        ({"preset": "gpt"}, "'gpt' is not a preset.*ada-002"),
        ({"dimensions": 31}, "32 to 1536 dimensions; got 31"),
        ({"dimensions": 1537}, "got 1537. Many models make shorter embeddings"),
        ({"dimensions": "32"}, "dimensions is a whole number; got '32'"),
        ({"dimensions": 32, "exist_ok": "no"}, "exist_ok is True or False; got 'no'"),
        ({"dimensions": 32, "record_layout": 0}, "record_layout is True or False; got 0"),
        ({"dimensions": 32, "description": None}, "description is a string; got None"),
        ({"dimensions": 32, "wait_timeout": "5"}, "wait_timeout is a number .*; got '5'"),
        ({"dimensions": 64.5}, "dimensions is a whole number; got 64.5"),
        ({"dimensions": True}, "got True"),
        ({"dimensions": 32, "metric": "dot"}, "'dot' is not a metric.*dot-product"),
        ({"dimensions": 32, "name": ""}, "index name"),
        ({"dimensions": 32, "name": "x" * 65}, "65 bytes"),
        ({"dimensions": 32, "metadata_indexes": {"a": "text"}}, "'a' has the type 'text'.*string"),
        ({"dimensions": 32, "metadata_indexes": {"a": "String"}}, "'String'"),
        ({"dimensions": 32, "metadata_indexes": {"a": None}}, "'a' has the type None"),
        ({"dimensions": 32, "metadata_indexes": {"": "string"}}, "'' cannot be the name"),
        ({"dimensions": 32, "metadata_indexes": {"$a": "string"}}, "'\\$a' cannot be the name"),
        ({"dimensions": 32, "metadata_indexes": {'a"b': "string"}}, "cannot be the name"),
        ({"dimensions": 32, "metadata_indexes": {"k" * 513: "string"}}, "cannot be the name"),
        ({"dimensions": 32, "metadata_indexes": {5: "string"}}, "5 cannot be the name"),
        ({"dimensions": 32, "metadata_indexes": {"\ud800": "string"}}, "cannot be the name"),
        ({"dimensions": 32, "metadata_indexes": {"_vs_bucket": "string"}}, "'_vs_bucket'"),
    ],
)
async def test_what_cannot_be_made_is_refused_before_anything_is_sent(
    variant: Variant, accounts: Accounts, options: Any, said: str
) -> None:
    account = accounts(variant)
    with pytest.raises((InvalidInputError, ConfigurationError), match=said):
        await account.create(**options)
    assert account.sent == []


@both_variants
@pytest.mark.parametrize(("record_layout", "allowed"), [(True, 7), (False, 10)])
async def test_an_index_has_at_most_ten_metadata_indexes(
    variant: Variant, accounts: Accounts, record_layout: bool, allowed: int
) -> None:
    account = accounts(variant)
    wanted = {f"p{i}": "string" for i in range(allowed + 1)}
    options: Any = {"dimensions": 32, "record_layout": record_layout}
    with pytest.raises(ConfigurationError, match=f"11 metadata indexes.*allows 10.*p{allowed}"):
        await account.create(metadata_indexes=wanted, **options)
    assert account.sent == []
    del wanted["p0"]
    await account.create(metadata_indexes=wanted, **options)
    assert len(account.indexed()) == 10


@both_variants
async def test_an_index_that_exists_is_an_error_naming_the_way_out(
    variant: Variant, accounts: Accounts
) -> None:
    account = accounts(variant)
    await account.create(dimensions=32)
    with pytest.raises(IndexExistsError, match="exist_ok=True"):
        await account.create(dimensions=32)


@both_variants
async def test_exist_ok_accepts_an_index_of_the_same_configuration(
    variant: Variant, accounts: Accounts
) -> None:
    account = accounts(variant)
    first = await account.create(dimensions=32, description="first")
    again = await account.create(
        dimensions=32, description="second", exist_ok=True, metadata_indexes={"year": "number"}
    )
    assert again == first
    assert account.indexed() == {**layout.METADATA_INDEXES, "year": "number"}


@both_variants
async def test_a_foreign_index_gets_only_what_is_asked_for(
    variant: Variant, accounts: Accounts
) -> None:
    account = accounts(variant)
    account.service.create_index("docs", IndexConfig(32))
    await account.create(dimensions=32, exist_ok=True)
    assert account.indexed() == {}
    await account.create(dimensions=32, exist_ok=True, metadata_indexes={"year": "number"})
    assert account.indexed() == {"year": "number"}


@both_variants
async def test_a_creation_that_broke_off_is_completed_by_repeating_it(
    variant: Variant, accounts: Accounts
) -> None:
    account = accounts(variant)
    account.lose(
        CreateMetadataIndex, BadRequestError("CreateMetadataIndex", 400), carried_out=False, times=1
    )
    with pytest.raises(BadRequestError):
        await account.create(dimensions=32)
    await account.create(dimensions=32, exist_ok=True)
    assert account.indexed() == layout.METADATA_INDEXES


@both_variants
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dimensions": 64}, "32 dimensions.*'cosine', not 64"),
        ({"dimensions": 32, "metric": "euclidean"}, "'cosine', not 32 and 'euclidean'"),
        ({"preset": "@cf/baai/bge-small-en-v1.5"}, "not 384"),
        ({"dimensions": 32, "metadata_indexes": {"year": "string"}}, "'year'.*'number'.*'string'"),
        (
            {"dimensions": 32, "metadata_indexes": {f"p{i}": "string" for i in range(7)}},
            "11 metadata indexes",
        ),
    ],
)
async def test_an_index_of_another_configuration_is_left_alone(
    variant: Variant, accounts: Accounts, options: Any, said: str
) -> None:
    account = accounts(variant)
    await account.create(dimensions=32, metadata_indexes={"year": "number"})
    before = account.indexed()
    with pytest.raises(ConfigurationError, match=said):
        await account.create(exist_ok=True, **options)
    assert account.indexed() == before


@both_variants
async def test_creating_waits_until_the_metadata_indexes_are_live(
    variant: Variant, accounts: Accounts, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "vectorize_core")
    account = accounts(variant, metadata_index_delay=0.2)
    start = time.time()
    await account.create(dimensions=32, metadata_indexes={"year": "number"})
    assert time.time() - start >= 0.2
    assert account.indexed().keys() == {*layout.METADATA_INDEXES, "year"}
    assert account.count(CreateMetadataIndex) == 4
    assert caplog.messages == []


@both_variants
async def test_a_long_wait_for_metadata_indexes_is_logged_and_ends(
    variant: Variant, accounts: Accounts, caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    async def sleep(*_: object) -> None:
        pass

    caplog.set_level(logging.INFO, "vectorize_core")
    monkeypatch.setattr(variant.io_class, "sleep", sleep)
    account = accounts(variant, metadata_index_delay=1_000.0)
    with pytest.raises(WaitTimeoutError, match=r"'docs'.*\['_vs_bucket'.*'year'\].*after 3\d s"):
        await account.create(dimensions=32, metadata_indexes={"year": "number"}, wait_timeout=30)
    assert "year" in caplog.messages[0]
    assert {record.levelno for record in caplog.records} == {logging.WARNING, logging.INFO}


@both_variants
async def test_indexes_are_listed_and_deleted(variant: Variant, accounts: Accounts) -> None:
    account = accounts(variant)
    for name in ("one", "two"):
        await account.create(name=name, dimensions=32)
    await account.delete("one")
    assert [i.name for i in await account.run(account.io.call(ListIndexes()))] == ["two"]
    for missing in ("one", "never"):
        with pytest.raises(IndexNotFoundError):
            await account.delete(missing)


@both_variants
async def test_a_new_index_of_the_same_name_has_its_own_configuration(
    variant: Variant, accounts: Accounts
) -> None:
    account = accounts(variant)
    await account.create(dimensions=32, metadata_indexes={"year": "number"})
    await account.delete()
    details = await account.create(dimensions=64)
    state = account.connection.state("docs")
    assert state.details == details == account.service.get_index("docs")
    assert account.indexed() == layout.METADATA_INDEXES == state.metadata_indexes


@both_variants
async def test_metadata_indexes_are_made_and_deleted_one_by_one(
    variant: Variant, accounts: Accounts
) -> None:
    account = accounts(variant)
    await account.create(dimensions=32, record_layout=False)
    assert account.indexed() == {}
    assert (await account.index("nested.year", "number")).mutation_id
    listed = await account.run(account.io.call(ListMetadataIndexes("docs")))
    assert [(m.property_name, m.index_type) for m in listed] == [("nested.year", "number")]
    assert (await account.unindex("nested.year")).mutation_id
    assert account.indexed() == {}
    for name, kind in (("a", "text"), ("", "string"), ("$a", "string"), (5, "string")):
        with pytest.raises(InvalidInputError):
            await account.index(name, kind)
    with pytest.raises(ApiError):
        await account.unindex("never")


LOST = [
    ServerError("said", 503),
    ConnectionFailedError("reset", sent=True),
    ConnectionFailedError("refused", sent=False),
]


@both_variants
@pytest.mark.parametrize("error", LOST[:2], ids=repr)
async def test_a_lost_answer_makes_no_second_index(
    variant: Variant, accounts: Accounts, error: Exception
) -> None:
    account = accounts(variant)
    account.lose(CreateIndex, error, carried_out=True, times=1)
    details = await account.create(dimensions=32)
    assert details == account.service.get_index("docs")
    assert account.count(CreateIndex) == 1


@both_variants
@pytest.mark.parametrize("error", LOST, ids=repr)
async def test_what_was_not_carried_out_is_tried_again(
    variant: Variant, accounts: Accounts, error: Exception
) -> None:
    account = accounts(variant)
    account.lose(CreateIndex, error, carried_out=False, times=2)
    await account.create(dimensions=32, record_layout=False)
    assert account.count(CreateIndex) == 3
    account.lose(CreateMetadataIndex, error, carried_out=False, times=2)
    assert (await account.index("year", "number")).mutation_id
    account.lose(DeleteMetadataIndex, error, carried_out=False, times=2)
    assert (await account.unindex("year")).mutation_id
    account.lose(DeleteIndex, error, carried_out=False, times=2)
    await account.delete()
    assert account.service.list_indexes() == ()


@both_variants
async def test_a_lost_answer_to_anything_else_is_no_error_either(
    variant: Variant, accounts: Accounts
) -> None:
    account = accounts(variant)
    await account.create(dimensions=32, record_layout=False)
    account.lose(CreateMetadataIndex, LOST[0], carried_out=True, times=1)
    assert (await account.index("year", "number")).mutation_id is None
    assert account.indexed() == {"year": "number"}
    account.lose(DeleteMetadataIndex, LOST[0], carried_out=True, times=1)
    assert (await account.unindex("year")).mutation_id is None
    assert account.indexed() == {}
    account.lose(DeleteIndex, LOST[0], carried_out=True, times=1)
    await account.delete()
    assert account.service.list_indexes() == ()
    assert account.count(DeleteIndex) == 2


@both_variants
async def test_after_a_lost_answer_another_configuration_is_refused(
    variant: Variant, accounts: Accounts
) -> None:
    account = accounts(variant)
    account.service.create_index("docs", IndexConfig(64))
    account.lose(CreateIndex, LOST[0], carried_out=False, times=1)
    with pytest.raises(IndexExistsError):
        await account.create(dimensions=32)


@both_variants
async def test_a_refusal_is_not_tried_again(variant: Variant, accounts: Accounts) -> None:
    account = accounts(variant)
    account.lose(CreateIndex, BadRequestError("said", 400), carried_out=False, times=1)
    with pytest.raises(BadRequestError):
        await account.create(dimensions=32)
    assert account.count(CreateIndex) == 1
