"""The index under a store: whether it is there, may be made, and what can be filtered by."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Self

from vectorize_core import layout
from vectorize_core.api import validation
from vectorize_core.errors import (
    ApiMessage,
    ConfigurationError,
    IndexNotFoundError,
    TextIndexWarning,
)
from vectorize_core.layout.nested import check_indexable
from vectorize_core.models import IndexType, Metric
from vectorize_core.records.target import Target
from vectorize_core.stacklevel import outside
from vectorize_core.state import lifecycle
from vectorize_core.state.index_state import (
    IndexState,
    find_details,
    get_details,
    get_metadata_indexes,
)
from vectorize_core.state.metadata_indexes import check_metadata_indexes
from vectorize_core.transport.io import Io
from vectorize_core.wording import DEFAULT, Wording

_MOMENT: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreIndex:
    """An index as a store was told to expect it.

    ``create_index`` says whether the first write may create it, with ``metric`` ("cosine" if
    None) and ``metadata_indexes``; until then searches find nothing. None: only with ``path=``.
    An index that exists is checked against both. ``text_index``: the store keeps the texts of
    records in one, which an index that it creates says in its description.
    """

    target: Target = field(repr=False)
    create_index: bool | None = None
    metric: Metric | None = None
    metadata_indexes: Mapping[str, IndexType] | None = None
    text_index: bool = False
    wording: Wording = field(default=DEFAULT, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "wording", self.state.adapt(self.wording))
        if self.create_index is not None:
            validation.flag("create_index", self.create_index)
        if self.metric is not None:
            lifecycle.check_metric(self.metric)
        check_metadata_indexes(self.name, self._promised)
        lifecycle.with_layout(self._promised)

    def owning(self, owned: bool) -> Self:
        """This index, with a connection that the store is or is not to close."""
        return replace(self, target=self.target._replace(owned=owned))

    @property
    def name(self) -> str:
        """The index worked on."""
        return self.target.state.name

    @property
    def state(self) -> IndexState:
        """What the connection knows of the index."""
        return self.target.state

    @property
    def may_create(self) -> bool:
        """Whether the first write creates a missing index."""
        return self.target.makes if self.create_index is None else self.create_index

    @property
    def _promised(self) -> Mapping[str, IndexType]:
        return self.metadata_indexes if self.metadata_indexes is not None else {}

    def check_indexable(self, text_key: str, more: Collection[str] = ()) -> None:
        """Refuse metadata indexes that records, with texts under ``text_key``, cannot fill.

        Those that were promised, and ``more``.
        """
        check_indexable([*self._promised, *more], text_key, self.state.metadata_indexes or ())

    async def exists(self, io: Io, *, refresh: bool = False) -> bool:
        """Whether the index exists; an error if it does not and the store may not create it."""
        details = await find_details(io, self.state, refresh=refresh)
        if details is None and not self.may_create:
            said = (
                f"it does not exist ({self.target.connection.address}). Check its name; "
                "create_index=True lets the store make it"
            )
            raise IndexNotFoundError(f"index {self.name!r}", 404, [ApiMessage(None, said)])
        if details is not None and self.metric not in (None, details.config.metric):
            raise ConfigurationError(
                f"the index {self.name!r} has the metric {details.config.metric!r}, the "
                f"store was given {self.metric!r}; it cannot be changed"
            )
        if details is not None and self._promised:
            known = self.state.metadata_indexes
            # Once is enough, so that searches without a filter do not ask again and again.
            indexed = known if known is not None else await get_metadata_indexes(io, self.state)
            self._check_types(indexed)
        return details is not None

    def _check_types(self, indexed: Mapping[str, IndexType]) -> None:
        for name, index_type in self._promised.items():
            if indexed.get(name, index_type) != index_type:
                raise ConfigurationError(
                    f"the index {self.name!r} has a metadata index on {name!r} of the type "
                    f"{indexed[name]!r}, the store was given {{{name!r}: {index_type!r}}}. Give it "
                    f"the type {indexed[name]!r} in metadata_indexes=; or, to change the index, "
                    f"call delete_metadata_index({name!r}) of "
                    f"{self.wording.index.format(name=self.name)}, then "
                    f"create_metadata_index({name!r}, {index_type!r}) and, once that is live, "
                    "reindex_metadata()"
                )

    async def metric_of(self, io: Io) -> Metric:
        """The metric of the index, or the one it will be created with."""
        if await self.exists(io):
            return (await get_details(io, self.state)).config.metric
        return self.metric if self.metric is not None else "cosine"

    async def properties(self, io: Io, *, refresh: bool = False) -> Mapping[str, IndexType]:
        """The filterable properties of the index, or those it will be created with."""
        if await self.exists(io):
            return await get_metadata_indexes(io, self.state, refresh=refresh)
        return {**layout.METADATA_INDEXES, **self._promised}

    async def ensure(self, io: Io, dimensions: int, *, creates: bool) -> None:
        """The index is there, finished and as promised.

        It is created if this write ``creates`` it, as `ready_to_write` found none. One that was
        there then, and is gone, is an error: it may have held records of the same write.
        """
        if self.state.finished:
            return
        if creates:
            await lifecycle.create_missing(
                io,
                self.state,
                dimensions=dimensions,
                metric=self.metric,
                metadata_indexes=self._promised,
                text_index=self.text_index,
            )
            await self._check_promises(io)
        elif await self.exists(io):
            await self.ready_to_write(io)
        else:
            raise IndexNotFoundError(
                f"Upsert({self.name})", 410, [ApiMessage(3005, "it was deleted during this write")]
            )

    async def ready_to_write(self, io: Io, *, dry_run: bool = False) -> Mapping[str, IndexType]:
        """The filterable properties that records are to be written for.

        What is written must be found by the filters that the store was promised, and by those
        that the index was made for: one that is just being made is waited for, unless nothing
        will be written (``dry_run``).
        """
        # A moment ago is soon enough: `ensure` notices if it was made since.
        missing = self.may_create and io.now() - self.state.missing_at < _MOMENT
        if missing or not await self.exists(io):
            wanted = {**layout.METADATA_INDEXES, **self._promised}
            check_metadata_indexes(self.name, wanted)
            return wanted
        if not (self.state.finished or dry_run):
            await lifecycle.finish(io, self.state, {**self._promised, **layout.METADATA_INDEXES})
        await self._check_promises(io)
        self.warn_of_text_index()
        return await get_metadata_indexes(io, self.state)

    def warn_of_text_index(self) -> None:
        """Warn, once for an index, that records are written which no search by words will find."""
        state = self.state
        noted = state.details is not None and layout.read_note(state.details.description).text_index
        if noted and not self.text_index and not state.warned_of_text_index:
            state.warned_of_text_index = True
            warnings.warn(
                f"the index {self.name!r} was made with a text index, and this store writes to it "
                "without one: searches by words will not find these records. Give the store the "
                "same text_index=, or call reindex_texts() of one that has it",
                TextIndexWarning,
                stacklevel=outside(),
            )

    async def _check_promises(self, io: Io) -> None:
        promised = self._promised.items()
        if promised <= (await get_metadata_indexes(io, self.state)).items():
            return
        indexed = await get_metadata_indexes(io, self.state, refresh=True)
        self._check_types(indexed)
        missing = {name: kind for name, kind in promised if name not in indexed}
        if missing:
            raise ConfigurationError(
                f"the index {self.name!r} exists without the metadata indexes {missing}; it "
                "is not altered without being asked. To have one, "
                f"{self.wording.to_index(self.name, 'name', 'type')}. Or leave them out of "
                "metadata_indexes="
            )
