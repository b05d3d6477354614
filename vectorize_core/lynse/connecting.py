"""Connections to a LynseDB, and the address by which a pickled one is opened again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack, cast

from vectorize_core.api.by_words import TextQuery
from vectorize_core.api.coverage import CountUncovered
from vectorize_core.api.pending import CountPending
from vectorize_core.connection import Address, Connection
from vectorize_core.lynse.credentials import find_server
from vectorize_core.lynse.executor import LynseExecutor
from vectorize_core.lynse.http import LynseHttp
from vectorize_core.lynse.server import Server
from vectorize_core.lynse.words import BM25, Words
from vectorize_core.secret import Secret
from vectorize_core.transport.answer_body import MAX_ANSWER_BYTES
from vectorize_core.transport.capabilities import Capabilities
from vectorize_core.transport.events import Events, OnEvent
from vectorize_core.transport.http_options import HttpOptions, check_options
from vectorize_core.transport.retry import RetryPolicy
from vectorize_core.transport.turns import Turns

if TYPE_CHECKING:
    import httpx


CAPABILITIES: Final = Capabilities(
    operations=frozenset({CountPending, CountUncovered, TextQuery}),
    free_requests=True,
    late_metadata_indexes=False,
)


class LynseOptions(TypedDict, total=False):
    """How a server is reached: arguments of `LynseClient`."""

    timeout: float | httpx.Timeout | None
    max_answer_bytes: int
    retry: RetryPolicy | None
    on_event: OnEvent | None
    http_client: httpx.Client | None
    async_http_client: httpx.AsyncClient | None
    transport: httpx.BaseTransport | None
    async_transport: httpx.AsyncBaseTransport | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LynseAddress(Address):
    """A LynseDB at a URL, and the database of its indexes if it is for those."""

    database: str | None = None
    words: Words = BM25

    def __str__(self) -> str:
        return f"LynseDB at {self.base_url}"

    @property
    def place(self) -> str:
        """Where the collections are."""
        return f"the database {self.database} of the LynseDB at {self.base_url}"

    def connect(self) -> Connection:
        """A connection to this address, with the key from the environment; no I/O."""
        connection = lynse_connection(Secret(self.base_url or ""), None, **self.options)
        if self.database is None:
            return connection
        return index_connection(connection, self.database, self.words)


def lynse_connection(
    base_url: Secret[str] | None, api_key: Secret[str] | None, **options: Unpack[LynseOptions]
) -> Connection:
    """A connection to a server. See `LynseClient`."""
    given: dict[str, Any] = {"base_url": base_url, "api_key": api_key, **options}
    check_options(cast("HttpOptions", given))
    credentials = find_server(base_url, api_key)
    names = ("http_client", "async_http_client", "transport", "async_transport")
    injected = {name: options.get(name) for name in names}
    settings = {
        "timeout": options.get("timeout"),
        "max_answer_bytes": options.get("max_answer_bytes", MAX_ANSWER_BYTES),
    }
    retry = options.get("retry")
    is_injected = any(value is not None for value in injected.values())
    address = LynseAddress(
        base_url=credentials.base_url,
        options={**settings, "retry": retry},
        unpicklable="it uses an injected httpx client or transport" if is_injected else "",
    )
    return Connection(
        LynseHttp(credentials, Server(), **settings, **injected),
        retry,
        turns=Turns(),
        events=Events(options.get("on_event")),
        address=address,
    )


def index_connection(connection: Connection, database: str, words: Words) -> Connection:
    """A connection to the indexes of a database, over a connection to its server."""
    return Connection(
        LynseExecutor(cast("LynseHttp", connection.executor), database, words),
        connection.retry,
        turns=connection.turns,
        events=connection.events,
        address=replace(cast("LynseAddress", connection.address), database=database, words=words),
        capabilities=CAPABILITIES,
    )


def server_of(connection: Connection) -> Server:
    """The server at the other end."""
    return cast("LynseHttp", connection.executor).server
