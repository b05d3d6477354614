"""`LynseExecutor`: carries out the calls of Vectorize on collections of a LynseDB."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import Any, Final, TypeVar

from vectorize_core.api import operations as ops
from vectorize_core.api.operations import Op
from vectorize_core.errors import (
    ApiMessage,
    ConfigurationError,
    ConnectionFailedError,
    EngineError,
    IndexDamagedError,
    VectorizeError,
    error_from_answer,
)
from vectorize_core.local import faults, validation
from vectorize_core.lynse.calls import CALLS
from vectorize_core.lynse.describing import claim, describe, make, read_header
from vectorize_core.lynse.dialect import Dialect
from vectorize_core.lynse.header import MODES, Header
from vectorize_core.lynse.http import LynseHttp
from vectorize_core.lynse.operations import collections, indexes, servers
from vectorize_core.lynse.requests import Requests
from vectorize_core.lynse.table import Known, Table
from vectorize_core.lynse.words import Words
from vectorize_core.models import IndexDetails
from vectorize_core.transport.executor import Answer
from vectorize_core.transport.io import AsyncIo, SyncIo, run
from vectorize_core.transport.retry import RetryPolicy

T = TypeVar("T")

_ATTEMPTS: Final = 5
_PAUSE: Final = 0.1
_DAMAGE: Final = ("ApexBase", "schema overflow", "delta frame", "non-integer value", "corrupt")


class LynseExecutor:
    """Indexes as collections of one database, on a server of 0.9.

    A call that may have met another process than it began with is carried out again, when what
    that has recovered is settled.
    """

    def __init__(self, http: LynseHttp, database: str, words: Words) -> None:
        self._http = http
        self._words = words
        self._database = database
        # By process: after a fork, a lock may be held by a thread that only the parent has.
        self._known: dict[tuple[int, str], Known] = {}

    def send(self, op: Op[T], /) -> Answer[T]:
        """Carry ``op`` out; raises its typed error."""
        return Answer(run(self._carry_out(Requests(SyncIo(self._http, RetryPolicy())), op)))

    async def asend(self, op: Op[T], /) -> Answer[T]:
        """Carry ``op`` out without blocking the event loop; raises its typed error."""
        return Answer(await self._carry_out(Requests(AsyncIo(self._http, RetryPolicy())), op))

    async def _carry_out(self, io: Requests, op: Op[Any]) -> Any:
        dialect = _checked(await self._http.server.known(io))
        restarts, tells = self._http.restarts, not dialect.is_coordinator
        for _ in range(_ATTEMPTS):
            process = await restarts.process(io, tells=tells)
            result, failure = None, None
            try:
                result = await self._once(io, op, process.number)
            except ConnectionFailedError:
                raise
            except (VectorizeError, faults.ServiceFault) as error:
                failure = error
            is_same = await restarts.process(io, tells=tells) == process
            if (is_same and not isinstance(failure, EngineError)) or not op.repeatable:
                break
            if is_same:
                # Another client's commit may have been in the way.
                await io.sleep(_PAUSE)
        else:
            if failure is None:
                raise ConnectionFailedError(f"{op}: the server is started again and again")
        if failure is not None:
            raise _in_words(op, failure) from None
        return result

    async def _once(self, io: Requests, op: Op[Any], process: int) -> Any:
        if isinstance(op, ops.ListIndexes):
            return await self._list(io)
        name = op.target or ""
        known = self._known.setdefault((os.getpid(), name), Known())
        table = Table(io, (self._database, name), known, process, self._words)
        if isinstance(op, ops.CreateIndex):
            return await self._create(io, table, op)
        if isinstance(op, ops.DeleteIndex):
            return await self._delete(io, table, op)
        if type(op) not in CALLS:
            raise VectorizeError(f"{op}: no index on LynseDB has such a call")
        return await CALLS[type(op)](table, op)

    async def _list(self, io: Requests) -> tuple[IndexDetails, ...]:
        """All indexes; other collections are left out."""
        found = []
        for name in await io.call(servers.ShowCollections(self._database)):
            try:
                header = await read_header(io, (self._database, name))
            except (ConfigurationError, IndexDamagedError):
                continue
            if header is not None:
                found.append(header.details(name))
        return tuple(sorted(found, key=lambda one: (str(one.created_on), one.name)))

    async def _create(self, io: Requests, table: Table, op: ops.CreateIndex) -> IndexDetails:
        name = validation.index_name(op.name)
        config = validation.index_config(op.config)
        header = Header(
            config,
            validation.description(op.description),
            time.time(),
            self._words.text_key,
            self._words.sparse_embedding is not None,
        )
        if await table.exists():
            raise faults.index_exists(name)
        place = self._database, name
        if not await claim(io, place, config.dimensions):
            raise faults.index_exists(name)
        await describe(io, place, header)
        for _ in range(_ATTEMPTS):
            await io.call(indexes.BuildIndex(*place, MODES[config.metric]))
            with suppress(IndexDamagedError):
                if await read_header(io, place) is not None:
                    break
            # Another client's description may have taken its own away.
            await make(io, place, header)
        return header.details(name)

    async def _delete(self, io: Requests, table: Table, op: ops.DeleteIndex) -> None:
        if not await table.exists():
            raise faults.index_not_found(op.index)
        await io.call(collections.DropCollection(self._database, op.index))
        self._known.pop((os.getpid(), op.index), None)

    def check(self) -> None:
        """Raise an error where it may not be used any more."""
        self._http.check()

    def close(self) -> None:
        """Close the connections; no operation can follow."""
        self._http.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self._http.aclose()


def _checked(dialect: Dialect) -> Dialect:
    if dialect.is_coordinator or (dialect.version or "").startswith("0.9."):
        return dialect
    raise ConfigurationError(
        f"indexes and stores need a server of LynseDB 0.9, and this is {dialect}: pip install "
        "lynsedb==0.9.0. Its own calls are those of client.collection()"
    )


def _in_words(op: Op[Any], failure: Exception) -> Exception:
    if isinstance(failure, faults.ServiceFault):
        known = failure.code != faults.UNKNOWN_CODE
        said = failure.message.removeprefix(faults.MARK)
        message = ApiMessage(failure.code if known else None, said)
        return error_from_answer(str(op), failure.status, (message,))
    if isinstance(failure, EngineError) and any(mark in failure.message for mark in _DAMAGE):
        return IndexDamagedError(
            f"{op}: the server cannot read the collection any more: {failure.message}. Restore a "
            "snapshot and start the server again, or delete the index and write it again"
        )
    return failure
