"""The indexes of an account: `VectorizeClient` and `AsyncVectorizeClient`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from vectorize_core.api import validation
from vectorize_core.api.operations import GetIndex, ListIndexes
from vectorize_core.behavior import Behavior
from vectorize_core.connection import (
    Connection,
    Limits,
    binding_connection,
    http_connection,
    local_connection,
)
from vectorize_core.index import AsyncIndex, Index
from vectorize_core.kwargs import checks_keywords
from vectorize_core.models import IndexDetails, IndexType, Metric
from vectorize_core.state import lifecycle
from vectorize_core.state.lifecycle import CreateOptions
from vectorize_core.transport.answer_body import MAX_ANSWER_BYTES
from vectorize_core.transport.closing import AsyncClosing, SyncClosing
from vectorize_core.transport.events import OnEvent
from vectorize_core.transport.io import run
from vectorize_core.transport.rate_limit import CLOUDFLARE, RateLimit
from vectorize_core.transport.retry import RetryPolicy

if TYPE_CHECKING:
    import httpx


class IndexClient:
    """A client that stores can work with: of Vectorize, or of LynseDB."""

    @property
    def connection(self) -> Connection:
        """What carries out calls on its indexes."""
        raise NotImplementedError


@checks_keywords({"dimensions": "create_index()", "metric": "create_index()"})
class _Client(IndexClient):
    """What both variants share, construction above all; it does no I/O."""

    def __init__(
        self,
        account_id: str | None = None,
        api_token: str | None = None,
        *,
        api_key: str | None = None,
        email: str | None = None,
        base_url: str | None = None,
        timeout: float | httpx.Timeout | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        retry: RetryPolicy | None = None,
        rate_limit: RateLimit | None = CLOUDFLARE,
        on_event: OnEvent | None = None,
        http_client: httpx.Client | None = None,
        async_http_client: httpx.AsyncClient | None = None,
        transport: httpx.BaseTransport | None = None,
        async_transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """A client of Cloudflare, or of a server that speaks its API.

        Args:
            account_id: by default from CLOUDFLARE_ACCOUNT_ID or CF_ACCOUNT_ID.
            api_token: by default from CLOUDFLARE_API_TOKEN, CF_VECTORIZE_API_TOKEN or CF_API_TOKEN.
            api_key: a global API key instead of a token, together with ``email``; by default from
                CLOUDFLARE_API_KEY.
            email: the user of ``api_key``; by default from CLOUDFLARE_EMAIL.
            base_url: the address of the API; by default from CLOUDFLARE_BASE_URL or
                CLOUDFLARE_API_BASE_URL, else Cloudflare's. A loopback address needs no credentials.
            timeout: seconds for a request as a whole; by default 10 for reads, 60 for writes. One
                that sends much has a second more for each 64 KiB. An `httpx.Timeout` bounds each
                step, and the request by their sum (docs/connections.md).
            max_answer_bytes: the most bytes of an answer, decoded; by default 64 MiB. A larger one
                is an `UnexpectedAnswerError`, and is not read on.
            retry: how long failed requests are tried again; see `RetryPolicy`.
            rate_limit: how many requests this client and all that is made of it may send; more have
                to wait. By default Cloudflare's limit, but none for a loopback address. What the
                service says of its own limit is obeyed even with None.
            on_event: called with each `Event`, such as a `RequestEvent`, in the thread or task
                where it happens. The logger ``vectorize_core`` gets the same events.
            http_client: an httpx client for sync calls, which is not closed. Both variants accept
                both clients, for `to_async` and `to_sync` share the connection.
            async_http_client: an httpx client for async calls, which is not closed.
            transport: an httpx transport for sync calls.
            async_transport: an httpx transport for async calls.

        Raises:
            ConfigurationError: credentials are missing; it names every place that was looked at.
        """
        self._connection = http_connection(
            account_id=account_id,
            api_token=api_token,
            api_key=api_key,
            email=email,
            base_url=base_url,
            timeout=timeout,
            max_answer_bytes=max_answer_bytes,
            retry=retry,
            rate_limit=rate_limit,
            on_event=on_event,
            http_client=http_client,
            async_http_client=async_http_client,
            transport=transport,
            async_transport=async_transport,
        )

    @classmethod
    def local(
        cls,
        path: str | os.PathLike[str] = ":memory:",
        *,
        behavior: Behavior | None = None,
        clock: Callable[[], float] = time.time,
        retry: RetryPolicy | None = None,
        on_event: OnEvent | None = None,
        limits: Limits | None = None,
    ) -> Self:
        """A client of an embedded Vectorize, in memory or kept in the directory ``path``.

        It has the operations, limits and error codes of Cloudflare, without an account or network.

        Args:
            path: a directory, created if it does not exist, or ":memory:".
            behavior: delays, and choices where the behavior of the real service is not known.
            clock: seconds since the epoch, for tests.
            retry: how long failed requests are tried again; see `RetryPolicy`.
            on_event: called with each `Event`.
            limits: "cloudflare" lets a call take no more requests than there, 100 for a search
                and 1,000 for all that matches, and a text be no longer than D1 takes. By default
                a call may take any number, as they cost nothing, and the first that takes more
                gives a `RequestLimitWarning`.
        """
        connection = local_connection(
            path, behavior=behavior, clock=clock, retry=retry, on_event=on_event, limits=limits
        )
        return over(cls, connection)

    @property
    def connection(self) -> Connection:
        """What this client shares with its other variant, its indexes and stores."""
        return self._connection

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._connection.address})"


C = TypeVar("C", bound=_Client)


def over(kind: type[C], connection: Connection) -> C:
    """A client of a connection that is there."""
    client = kind.__new__(kind)
    client._connection = connection  # noqa: SLF001 (a constructor beside __init__)
    return client


@checks_keywords()
class VectorizeClient(_Client, SyncClosing):
    """The indexes of an account. Thread-safe; one pooled HTTP client.

    Example:
        >>> client = VectorizeClient.local()
        >>> details = client.create_index("docs", dimensions=384, metric="cosine")
        >>> client.index("docs")
        Index('docs')
    """

    def create_index(self, name: str, **options: Unpack[CreateOptions]) -> IndexDetails:
        """Create an index with its metadata indexes, and wait until those are live.

        The options are those of `CreateOptions`: ``dimensions`` and ``metric``, or ``preset``,
        then ``metadata_indexes``, ``exist_ok``, ``record_layout``, ``description``.

        Raises `IndexExistsError`; with ``exist_ok``, `ConfigurationError` if the existing index
        has another configuration. `WaitTimeoutError` if metadata indexes take too long.
        """
        return run(
            lifecycle.create_index(self._connection.io(), self._connection.state(name), **options)
        )

    def list_indexes(self) -> tuple[IndexDetails, ...]:
        """All indexes of the account."""
        return run(self._connection.io().call(ListIndexes()))

    def get_index(self, name: str) -> IndexDetails:
        """The configuration of an index; raises `IndexNotFoundError`."""
        asked = GetIndex(validation.check_index_name(name))
        return run(self._connection.io().call(asked))

    def delete_index(self, name: str) -> None:
        """Delete an index with all its vectors; raises `IndexNotFoundError`."""
        run(lifecycle.delete_index(self._connection.io(), self._connection.state(name)))

    def to_async(self) -> AsyncVectorizeClient:
        """The async variant of this client, over the same connection and embedded data."""
        return over(AsyncVectorizeClient, self._connection)

    def index(self, name: str) -> Index:
        """An index to read and write; sends nothing. Refuses a name that none can have."""
        return Index(self._connection, name)

    def close(self) -> None:
        """Close what this client opened; safe to call again."""
        self._connection.close()


@checks_keywords()
class AsyncVectorizeClient(_Client, AsyncClosing):
    """`VectorizeClient` with async methods; each event loop has its own HTTP client."""

    @classmethod
    def from_binding(
        cls,
        binding: Any,
        index_name: str | None = None,
        *,
        metric: Metric | None = None,
        metadata_indexes: Mapping[str, IndexType] | None = None,
        record_layout: bool = True,
        description: str = "",
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
        on_event: OnEvent | None = None,
    ) -> Self:
        """A client of one index, through the binding of a Cloudflare Worker; no I/O.

        It needs no token, and no rate limit of the REST API holds (docs/workers.md). A binding
        cannot create indexes, list ids, or make and list metadata indexes: such a call is an
        `UnsupportedCallError`, or what is declared here answers it. Sync methods raise
        `ConfigurationError`.

        Args:
            binding: ``env.VECTORIZE`` of a Python Worker, or any object with its methods:
                describe, query, queryById, insert, upsert, getByIds, deleteByIds.
            index_name: the name of the index, for errors and tables in D1; by default any name
                that `index` or a store is given.
            metric: of the index, "cosine" by default; a binding does not tell it.
            metadata_indexes: the properties that filters can use and their types, as the index has
                them beside those of ``record_layout``.
            record_layout: whether the index has the three metadata indexes that `create_index`
                adds for stores.
            description: of the index, as `get_index` tells it. Its note says which metadata indexes
                hold every vector; without, a sample of the vectors shows it.
            timeout: seconds for a call; by default 10 for reads, 60 for writes.
            retry: how long failed calls are tried again; see `RetryPolicy`.
            on_event: called with each `Event`.

        Raises:
            ConfigurationError: the binding lacks a method, or an argument is none.
        """
        connection = binding_connection(
            binding,
            index_name,
            metric=metric,
            metadata_indexes=metadata_indexes,
            record_layout=record_layout,
            description=description,
            timeout=timeout,
            retry=retry,
            on_event=on_event,
        )
        return over(cls, connection)

    async def create_index(self, name: str, **options: Unpack[CreateOptions]) -> IndexDetails:
        """`VectorizeClient.create_index`, awaited."""
        io, state = self._connection.async_io(), self._connection.state(name)
        return await lifecycle.create_index(io, state, **options)

    async def list_indexes(self) -> tuple[IndexDetails, ...]:
        """`VectorizeClient.list_indexes`, awaited."""
        return await self._connection.async_io().call(ListIndexes())

    async def get_index(self, name: str) -> IndexDetails:
        """`VectorizeClient.get_index`, awaited."""
        asked = GetIndex(validation.check_index_name(name))
        return await self._connection.async_io().call(asked)

    async def delete_index(self, name: str) -> None:
        """`VectorizeClient.delete_index`, awaited."""
        io, state = self._connection.async_io(), self._connection.state(name)
        await lifecycle.delete_index(io, state)

    def to_sync(self) -> VectorizeClient:
        """The sync variant of this client, over the same connection and embedded data."""
        return over(VectorizeClient, self._connection)

    def index(self, name: str) -> AsyncIndex:
        """An index to read and write; sends nothing. Refuses a name that none can have."""
        return AsyncIndex(self._connection, name)

    async def aclose(self) -> None:
        """Close what this client opened; safe to call again."""
        await self._connection.aclose()
