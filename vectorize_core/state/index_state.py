"""What a client remembers of an index: its configuration, its own writes, the ids in flight."""

from __future__ import annotations

import math
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple, Self

from vectorize_core import layout
from vectorize_core.api.coverage import CountUncovered
from vectorize_core.api.operations import GetIndex, ListMetadataIndexes
from vectorize_core.errors import IndexNotFoundError, IndexReplacedError
from vectorize_core.models import IndexDetails, IndexType, MetadataIndex
from vectorize_core.state.in_flight import InFlight
from vectorize_core.state.one_at_a_time import OneAtATime
from vectorize_core.state.own_writes import OwnWrites
from vectorize_core.transport.capabilities import CLOUDFLARE, Capabilities
from vectorize_core.transport.io import Io
from vectorize_core.wording import Wording

KNOWN_FOR: Final = 60.0
"""Seconds after which the configuration of an index is looked at again."""
_MOST_TENANTS: Final = 1_000


class Coverage(NamedTuple):
    """What is known of metadata indexes, by property.

    ``covering`` are found or made to hold every vector, ``partial`` were found to hold only some,
    for the given reason, and of ``warned`` the user was told so. Where one is ``sampled``, none of
    the vectors that were read lacked what is written only where it is.
    """

    covering: set[str]
    partial: dict[str, str]
    warned: set[str]
    sampled: set[str]

    @classmethod
    def unknown(cls) -> Self:
        """Nothing yet."""
        return cls(set(), {}, set(), set())


@dataclass(slots=True, weakref_slot=True)
class IndexState:
    """One index as this client knows it; sync and async calls of a connection share it.

    Forgetting is always safe: the configuration is read again when it is needed. ``deleted_at``
    holds the metadata indexes that this client has deleted, with the time by `time.monotonic`: the
    service may list them for a while.

    What is known of its metadata indexes: ``coverage``, and of ``tenants`` what is known of the
    vectors of each; ``lapsed`` were once missing from a finished index, ``awaited`` were created by
    this client and not listed since. All of that is of the index created at ``known_of``.

    ``creating`` is for the call that makes the index, or waits until it is made, ``listing`` for
    those that change which long texts records have, by the ids of these. ``began`` is
    True from when this client has created it, ``finished`` from when all the metadata indexes that
    were to be there before the first vector are, or were.
    """

    name: str
    place: str = ""
    """Where the index is: the same in every process, and for no other account or directory."""
    capabilities: Capabilities = CLOUDFLARE
    details: IndexDetails | None = None
    metadata_indexes: Mapping[str, IndexType] | None = None
    finds_missing: bool | None = None
    """Whether the service finds vectors without a property by ``$ne``; None until that is tried."""
    own_writes: OwnWrites = field(default_factory=OwnWrites, repr=False)
    in_flight: InFlight = field(default_factory=InFlight, repr=False)
    deleted_at: dict[str, float] = field(default_factory=dict)
    coverage: Coverage = field(default_factory=Coverage.unknown)
    tenants: dict[str, Coverage] = field(default_factory=dict)
    lapsed: set[str] = field(default_factory=set)
    awaited: set[str] = field(default_factory=set)
    known_of: datetime | None = None
    creating: OneAtATime = field(default_factory=OneAtATime, repr=False)
    listing: OneAtATime = field(default_factory=OneAtATime, repr=False)
    began: bool = False
    finished: bool = False
    warned_of_text_index: bool = False
    writer: str = field(default_factory=partial(secrets.token_hex, 4))
    """What tells this client's writes from those of others."""
    details_at: float = -math.inf
    metadata_indexes_at: float = -math.inf
    missing_at: float = -math.inf
    """When they were read, or the index was found missing, by `Io.now`."""

    @property
    def knows_nothing(self) -> bool:
        """Whether a new one would do as well: no index is known, nor what was written to it."""
        return self.details is None and self.own_writes.are_forgotten

    @property
    def knows_coverage(self) -> bool:
        """Whether the service can be asked which vectors a metadata index does not hold."""
        return CountUncovered in self.capabilities.operations

    def adapt(self, wording: Wording) -> Wording:
        """A framework's wording, for what the executor can do."""
        can = self.capabilities
        return replace(wording, late_indexes=can.late_metadata_indexes, declared=can.declared)

    def forget(self) -> None:
        """Forget the configuration, as the index was created, deleted or changed."""
        self.details = None
        self.metadata_indexes = None
        self.began = self.finished = False

    def learn(self, details: IndexDetails, now: float) -> None:
        """Note the configuration, read at ``now``; of an index that was replaced forget all."""
        known = self.details
        if known is not None and None is not known.created_on != details.created_on is not None:
            self.forget()
        if details.created_on != self.known_of:
            self.known_of = details.created_on
            for known_of in (*self.coverage, self.tenants, self.lapsed, self.awaited):
                known_of.clear()
        self.details, self.details_at, self.missing_at = details, now, -math.inf

    def may_be_old(self, names: Collection[str]) -> bool:
        """Whether a list lacks what a finished index has: it may have been made before that."""
        return self.finished and not (self.noted - self.lapsed).issubset(names)

    def learn_metadata_indexes(
        self, listed: Collection[MetadataIndex], now: float, *, sure: bool = False
    ) -> Mapping[str, IndexType]:
        """Note the metadata indexes, listed at ``now``; returns them by property.

        A list that `may_be_old` is only noted if it is ``sure`` not to be.
        """
        found = {m.property_name: m.index_type for m in listed}
        if not sure and self.may_be_old(found):
            return found
        self.metadata_indexes, self.metadata_indexes_at = found, now
        self.awaited -= found.keys()
        # If it can be, it is asked again: another client may have deleted one and made it again.
        for known in (self.coverage, *self.tenants.values()):
            known.covering.intersection_update(() if self.knows_coverage else found.keys())
            known.sampled.intersection_update(found.keys())
        if self.finished:
            self.lapsed |= self.noted - found.keys()
        return found

    def coverage_of(self, tenant: str | None) -> Coverage:
        """What is known of a tenant's vectors; of None, of all."""
        if tenant is None:
            return self.coverage
        if tenant not in self.tenants and len(self.tenants) >= _MOST_TENANTS:
            self.tenants.clear()
        return self.tenants.setdefault(tenant, Coverage.unknown())

    def forget_coverage(self, name: str) -> None:
        """Note that a metadata index is not known to hold every vector any more."""
        for known in (self.coverage, *self.tenants.values()):
            known.covering.discard(name)

    def uncertain(self, names: Collection[str], tenant: str | None = None) -> set[str]:
        """Those of ``names`` whose metadata indexes are not known to hold every vector.

        Of a ``tenant``, every vector of its own.
        """
        unknown = set(names) - self.coverage.covering - self.coverage_of(tenant).covering
        # A service that knows better is asked rather than the note.
        return unknown if self.knows_coverage else unknown - (self.noted - self.lapsed)

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

    @property
    def noted(self) -> frozenset[str]:
        """The properties that were indexed before the first vector, as the index's note says."""
        description = self.details.description if self.details is not None else ""
        return layout.read_note(description).properties


async def get_details(io: Io, state: IndexState, *, refresh: bool = False) -> IndexDetails:
    """The index's configuration, asked for once a minute."""
    details, now = state.details, io.now()
    if details is not None:
        # By another clock (an event loop may have its own) it counts as old.
        if not refresh and 0 <= now - state.details_at < KNOWN_FOR:
            return details
        # Calls that come meanwhile need not ask too.
        state.details_at = now
    try:
        found = await io.call(GetIndex(state.name))
    except IndexNotFoundError:
        state.forget()
        state.missing_at = io.now()
        raise
    except BaseException:
        state.details_at = -math.inf
        raise
    state.learn(found, io.now())
    return found


async def look_again(io: Io, state: IndexState) -> None:
    """Read the configuration, as another client may have changed it."""
    await get_details(io, state, refresh=True)
    await get_metadata_indexes(io, state, refresh=True)


async def find_details(io: Io, state: IndexState, *, refresh: bool = False) -> IndexDetails | None:
    """The index's configuration, or None if the index does not exist."""
    try:
        return await get_details(io, state, refresh=refresh)
    except IndexNotFoundError:
        return None


async def get_metadata_indexes(
    io: Io, state: IndexState, *, refresh: bool = False
) -> Mapping[str, IndexType]:
    """The filterable properties with their types, asked for once a minute."""
    known, now = state.metadata_indexes, io.now()
    if known is not None:
        fresh = 0 <= now - state.metadata_indexes_at < KNOWN_FOR
        if fresh and not refresh and not state.may_be_old(known):
            return known
        state.metadata_indexes_at = now
    try:
        listed = await io.call(ListMetadataIndexes(state.name))
        # The answers to several calls come in any order; one that is asked for now is no older.
        again = state.may_be_old({m.property_name for m in listed})
        if again:
            listed = await io.call(ListMetadataIndexes(state.name))
    except BaseException:
        state.metadata_indexes_at = -math.inf
        raise
    return state.learn_metadata_indexes(listed, io.now(), sure=again)
