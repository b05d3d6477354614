"""`Account`: the Vectorize that a page shows, wherever it is, and its indexes as record stores."""

from __future__ import annotations

import copy
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from vectorize_core import layout
from vectorize_core.api.pending import CountPending
from vectorize_core.api.scan import ScanVectors
from vectorize_core.client import IndexClient
from vectorize_core.errors import VectorizeError
from vectorize_core.paths import MEMORY
from vectorize_core.records.beside import Beside
from vectorize_core.records.store import RecordStore
from vectorize_core.records.store_index import StoreIndex
from vectorize_core.records.target import target_of
from vectorize_core.state.index_state import IndexState, get_details
from vectorize_core.texts.store import TextStore
from vectorize_core.transport.credentials import DEFAULT_BASE_URL
from vectorize_core.transport.events import Event, OnEvent, RequestEvent
from vectorize_core.transport.io import Io
from vectorize_core.transport.loopback import is_loopback

Kind = Literal["directory", "memory", "server", "cloudflare"]
_MOST_STORES: Final = 100


@dataclass(slots=True)
class Requests:
    """How many requests one call of the page has made."""

    made: int = 0


REQUESTS: Final[ContextVar[Requests | None]] = ContextVar("requests", default=None)
"""Of the call that goes on in this task, and in those that it began."""


class Account:
    """The indexes of a client, over its connection; ``on_event`` is told what is sent over it.

    Long texts are in ``texts``. If that is None they, and the texts of a text index, are where a
    store with ``path=`` keeps them.
    """

    def __init__(
        self, client: IndexClient, on_event: OnEvent, texts: TextStore | None = None
    ) -> None:
        # A copy shares all that a connection has, but for who is told of its events.
        self.connection = copy.copy(client.connection)
        self.connection.events = self.connection.events.also(self._note)
        self._on_event = on_event
        path = self.connection.address.path
        self._folder = None if path in (None, MEMORY) else path
        self._given = texts
        self._stores: dict[str, RecordStore] = {}

    @property
    def kind(self) -> Kind:
        """Where the indexes are."""
        address = self.connection.address
        if address.path is not None:
            return "memory" if self._folder is None else "directory"
        at = urlsplit(address.base_url or "").hostname
        return "cloudflare" if at == urlsplit(DEFAULT_BASE_URL).hostname else "server"

    @property
    def title(self) -> str:
        """Where that is, in words, without a secret."""
        address = self.connection.address
        if self._folder is not None:
            return self._folder
        if address.path is not None or address.base_url is None:
            return "in memory" if address.path is not None else "a client of your own"
        at = urlsplit(address.base_url).netloc.rpartition("@")[2]
        return f"account {address.account_id} at {at}"

    @property
    def is_free(self) -> bool:
        """Whether requests cost nothing but time."""
        base_url = self.connection.address.base_url
        here = base_url is not None and is_loopback(base_url)
        return here or self.connection.capabilities.free_requests

    @property
    def scans(self) -> bool:
        """Whether vectors are read in order, any number at a time."""
        return ScanVectors in self.connection.capabilities.operations

    @property
    def tells_pending(self) -> bool:
        """Whether it can be asked how many writes are not visible yet."""
        return CountPending in self.connection.capabilities.operations

    @property
    def io(self) -> Io:
        """The `Io` of its calls."""
        return self.connection.async_io()

    def state(self, name: str) -> IndexState:
        """What is known of an index; `InvalidInputError` for a name that none can have."""
        return self.connection.state(name)

    async def store(self, name: str) -> RecordStore:
        """The records of an index that exists; `IndexNotFoundError` otherwise."""
        details = await get_details(self.io, self.state(name))
        found = self._stores.get(name)
        target = target_of(self.connection, name)
        has_words = target.beside is not None and layout.read_note(details.description).text_index
        if found is None or (found.text_index is not None) != has_words:
            found = RecordStore(
                index=StoreIndex(target=target, create_index=False),
                texts=self._given,
                text_index=True if has_words else None,
                on_missing_text="empty",
            )
            if len(self._stores) >= _MOST_STORES:
                await self._stores.pop(next(iter(self._stores))).aclose()
            self._stores[name] = found
        return found

    async def aclose(self) -> None:
        """Remove the long texts of deleted records; the connection is its client's to close."""
        for store in self._stores.values():
            with suppress(VectorizeError):
                await store.aclose()
        beside = self.connection.beside(Beside)
        if beside is not None:
            await self.io.offload(beside.release)

    def _note(self, event: Event) -> None:
        counted = REQUESTS.get()
        if counted is not None and isinstance(event, RequestEvent):
            counted.made += 1
        self._on_event(event)
