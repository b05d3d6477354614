"""What a client remembers of an index: its configuration, its own writes, the ids in flight."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from vectorize_core.api.operations import GetIndex, ListMetadataIndexes
from vectorize_core.errors import IndexNotFoundError, IndexReplacedError
from vectorize_core.models import IndexDetails, IndexType
from vectorize_core.state.own_writes import OwnWrites
from vectorize_core.transport.io import Io


class InFlight:
    """The ids that the calls of a connection have in flight to one index; thread-safe."""

    def __init__(self) -> None:
        self._owners: dict[str, object] = {}
        self._lock = threading.Lock()

    def take(self, owner: object, ids: Collection[str]) -> bool:
        """Take ``ids`` for ``owner``, all or none; False if another owner has one of them."""
        with self._lock:
            if not self._owners.keys().isdisjoint(ids):
                return False
            self._owners.update(dict.fromkeys(ids, owner))
            return True

    def release(self, owner: object, ids: Collection[str]) -> None:
        """Free those of ``ids`` that ``owner`` has."""
        with self._lock:
            for taken in ids:
                if self._owners.get(taken) is owner:
                    del self._owners[taken]


@dataclass(slots=True)
class IndexState:
    """One index as this client knows it; sync and async calls of a connection share it.

    Forgetting is always safe: the configuration is read again when it is needed. ``deleted_at``
    holds the metadata indexes that this client has deleted, with the time by `time.monotonic`: the
    service may list them for a while.
    """

    name: str
    details: IndexDetails | None = None
    metadata_indexes: Mapping[str, IndexType] | None = None
    finds_missing: bool | None = None
    """Whether the service finds vectors without a property by ``$ne``; None until that is tried."""
    own_writes: OwnWrites = field(default_factory=OwnWrites, repr=False)
    in_flight: InFlight = field(default_factory=InFlight, repr=False)
    deleted_at: dict[str, float] = field(default_factory=dict)

    def forget(self) -> None:
        """Forget the configuration, as the index was created, deleted or changed."""
        self.details = None
        self.metadata_indexes = None

    def check_same(self, created_on: datetime | None) -> None:
        """Raise `IndexReplacedError` if the index is known to have been created later."""
        known = self.details
        if known is None or known.created_on is None or created_on is None:
            return
        if created_on < known.created_on:
            self.own_writes.forget(known.created_on)
            self.forget()
            raise IndexReplacedError(
                f"the index {self.name!r} was deleted, and created again on {known.created_on}: "
                "what this client had written to it is gone. Write it again"
            )


async def get_details(io: Io, state: IndexState, *, refresh: bool = False) -> IndexDetails:
    """The index's configuration, asked for once."""
    details = state.details
    if details is None or refresh:
        details = state.details = await io.call(GetIndex(state.name))
    return details


async def find_details(io: Io, state: IndexState) -> IndexDetails | None:
    """The index's configuration, or None if the index does not exist."""
    try:
        return await get_details(io, state)
    except IndexNotFoundError:
        return None


async def get_metadata_indexes(
    io: Io, state: IndexState, *, refresh: bool = False
) -> Mapping[str, IndexType]:
    """The filterable properties with their types, asked for once."""
    known = state.metadata_indexes
    if known is None or refresh:
        listed = await io.call(ListMetadataIndexes(state.name))
        known = state.metadata_indexes = {m.property_name: m.index_type for m in listed}
    return known
