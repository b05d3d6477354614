"""Creating and deleting indexes and metadata indexes, safely where an answer is lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypedDict, TypeVar

from vectorize_core import jsontext, layout, limits
from vectorize_core.api import validation
from vectorize_core.api.operations import (
    CreateIndex,
    CreateMetadataIndex,
    DeleteIndex,
    DeleteMetadataIndex,
    GetIndex,
    ListMetadataIndexes,
    Op,
)
from vectorize_core.errors import (
    ConfigurationError,
    IndexExistsError,
    InvalidInputError,
    NotFoundError,
    WaitTimeoutError,
    shown,
)
from vectorize_core.models import (
    INDEX_TYPES,
    METRICS,
    PRESETS,
    IndexConfig,
    IndexDetails,
    IndexType,
    Metric,
    Mutation,
    Preset,
)
from vectorize_core.state.index_state import IndexState, get_details, get_metadata_indexes
from vectorize_core.state.polling import Polling
from vectorize_core.transport.io import Io

T = TypeVar("T")
DEFAULT_WAIT_TIMEOUT = 600.0
logger = logging.getLogger("vectorize_core")


async def repeat_settled(io: Io, op: Op[T], settled: Callable[[], Awaitable[T | None]]) -> T:
    """Carry out an ``op`` that must not simply be sent twice.

    After a fault, when the first request may have succeeded, ``settled`` looks at the state. It
    returns the result if the work is done, otherwise None.
    """
    tried = False

    async def attempt() -> T:
        nonlocal tried
        if tried:
            done = await settled()
            if done is not None:
                return done
        tried = True
        return await io.call(op)

    return await io.repeat(attempt, op)


class CreateOptions(TypedDict, total=False):
    """The configuration of a new index.

    ``dimensions`` (32 to 1536) with ``metric`` ("cosine" by default, "euclidean" or
    "dot-product"), or the ``preset`` of an embedding model: one of the two. ``metadata_indexes``
    maps the properties that filters will use to "string", "number" or "boolean".

    ``record_layout`` (True) adds the three metadata indexes that the LangChain and LlamaIndex
    stores use; without them, what takes more than one answer of the service is refused.
    ``exist_ok`` accepts an index with the same configuration, and adds the ``metadata_indexes``
    it lacks, which cover what is written from then on. ``wait_timeout`` is how long to wait for
    metadata indexes, in seconds (600).
    """

    dimensions: int
    metric: Metric
    preset: Preset
    description: str
    metadata_indexes: Mapping[str, IndexType] | None
    record_layout: bool
    exist_ok: bool
    wait_timeout: float


async def create_index(
    io: Io,
    state: IndexState,
    *,
    dimensions: int | None = None,
    metric: Metric = "cosine",
    preset: Preset | None = None,
    description: str = "",
    metadata_indexes: Mapping[str, IndexType] | None = None,
    record_layout: bool = True,
    exist_ok: bool = False,
    wait_timeout: float = DEFAULT_WAIT_TIMEOUT,
) -> IndexDetails:
    """Create an index and its metadata indexes, and wait until those are live."""
    validation.check_index_name(state.name)
    config = _config(dimensions, metric, preset)
    wanted = dict(metadata_indexes) if metadata_indexes is not None else {}
    if record_layout:
        wanted = _with_layout(wanted)
    check_metadata_indexes(state.name, wanted)
    if record_layout:
        description = layout.note(description, wanted)
    op = CreateIndex(state.name, preset if preset is not None else config, description)

    async def settled() -> IndexDetails | None:
        try:
            found = await io.call(GetIndex(state.name))
        except NotFoundError:
            return None
        return found if found.config == config else None

    state.forget()
    try:
        details = await repeat_settled(io, op, settled)
        state.own_writes.forget()
    except IndexExistsError:
        if not exist_ok:
            raise
        details = await get_details(io, state, refresh=True)
        _check_same(details, config)
        # Only those noted when it was created, and those asked for here by name.
        noted = layout.noted_properties(details.description)
        named = metadata_indexes if metadata_indexes is not None else {}
        wanted = {name: kind for name, kind in wanted.items() if name in noted or name in named}
    state.details = details
    if wanted:
        await ensure_metadata_indexes(io, state, wanted, wait_timeout=wait_timeout)
    return details


async def delete_index(io: Io, state: IndexState) -> None:
    """Delete an index; one that is gone when the request is repeated was deleted by it."""
    tried = False
    op = DeleteIndex(state.name)

    async def attempt() -> None:
        nonlocal tried
        try:
            await io.call(op)
        except NotFoundError:
            if not tried:
                raise
        finally:
            tried = True

    state.forget()
    state.own_writes.forget()
    await io.repeat(attempt, op)


async def create_metadata_index(
    io: Io, state: IndexState, property_name: str, index_type: IndexType
) -> Mutation:
    """Create one metadata index; the mutation has no id if its answer was lost."""
    check_metadata_indexes(state.name, {property_name: index_type})

    async def settled() -> Mutation | None:
        present = await get_metadata_indexes(io, state, refresh=True)
        return Mutation(None) if present.get(property_name) == index_type else None

    op = CreateMetadataIndex(state.name, property_name, index_type)
    mutation = await repeat_settled(io, op, settled)
    state.deleted_at.pop(property_name, None)
    state.metadata_indexes = None
    return mutation


async def delete_metadata_index(io: Io, state: IndexState, property_name: str) -> Mutation:
    """Delete one metadata index; the mutation has no id if its answer was lost."""
    validation.text("property_name", property_name)

    async def settled() -> Mutation | None:
        present = await get_metadata_indexes(io, state, refresh=True)
        return None if property_name in present else Mutation(None)

    op = DeleteMetadataIndex(state.name, property_name)
    mutation = await repeat_settled(io, op, settled)
    state.deleted_at[property_name] = time.monotonic()
    state.metadata_indexes = None
    return mutation


async def ensure_metadata_indexes(
    io: Io,
    state: IndexState,
    wanted: Mapping[str, IndexType],
    *,
    wait_timeout: float = DEFAULT_WAIT_TIMEOUT,
) -> None:
    """Create the metadata indexes that are missing and wait until they are live.

    A live index covers the vectors written from then on, hence the wait: 70 to 165 seconds on
    Cloudflare. Progress goes to the ``vectorize_core`` logger.
    """
    polling = Polling(io, wait_timeout)
    present = await get_metadata_indexes(io, state, refresh=True)
    dropped = {name for name in wanted if name in present and _was_just_deleted(state, name)}
    if dropped:
        # Those listed are being deleted: they must not be taken for the wanted ones.
        present = await _wait_for_indexes(io, state, polling, dropped, live=False)
    for name, index_type in wanted.items():
        if present.get(name, index_type) != index_type:
            raise ConfigurationError(
                f"index {state.name!r}: the metadata index on {name!r} has the type "
                f"{present[name]!r}, not {index_type!r}; delete it first to change it"
            )
    check_metadata_indexes(state.name, {**present, **wanted})
    missing = {name: kind for name, kind in wanted.items() if name not in present}
    for name, index_type in missing.items():
        await create_metadata_index(io, state, name, index_type)
    if missing:
        await _wait_for_indexes(io, state, polling, set(missing), live=True)


def _was_just_deleted(state: IndexState, name: str) -> bool:
    at = state.deleted_at.get(name)
    return at is not None and time.monotonic() - at < DEFAULT_WAIT_TIMEOUT


async def _wait_for_indexes(
    io: Io, state: IndexState, polling: Polling, names: set[str], *, live: bool
) -> Mapping[str, IndexType]:
    """Wait until metadata indexes are live, or gone; returns all live ones."""
    details = await get_details(io, state)
    next_look, pending = 5.0, names

    async def settled() -> bool:
        nonlocal next_look, pending
        if polling.waited >= next_look:
            next_look = polling.waited + 15.0
            state.details = await io.once(GetIndex(state.name), patience=polling.left)
            state.check_same(details.created_on)
        listed = await io.once(ListMetadataIndexes(state.name), patience=polling.left)
        present = state.metadata_indexes = {m.property_name: m.index_type for m in listed}
        pending = names - present.keys() if live else names & present.keys()
        if pending and polling.waited > 1:
            level = logging.WARNING if polling.waited < 4 else logging.INFO
            logger.log(
                level,
                "index %r: waiting for the metadata indexes %s (%.0f s; usually 70 to 165 s)",
                state.name,
                ", ".join(sorted(pending)),
                polling.waited,
            )
        return not pending

    if not await polling.until(settled):
        raise WaitTimeoutError(
            f"index {state.name!r}: the metadata indexes {sorted(pending)} are not "
            f"{'live' if live else 'gone'} after {polling.waited:.0f} s. They may still become "
            "so; vectors written before metadata indexes are live are not found by filters on them"
        ) from polling.failure
    return await get_metadata_indexes(io, state)


def _config(dimensions: int | None, metric: Metric, preset: Preset | None) -> IndexConfig:
    if (dimensions is None) == (preset is None):
        raise InvalidInputError("an index takes either dimensions= or preset=")
    if preset is not None:
        if preset not in PRESETS:
            raise InvalidInputError(f"{preset!r} is not a preset; presets are {list(PRESETS)}")
        return IndexConfig(*PRESETS[preset])
    low, high = limits.MIN_DIMENSIONS, limits.MAX_DIMENSIONS
    dimensions = validation.whole_number("dimensions", dimensions)
    if not low <= dimensions <= high:
        raise InvalidInputError(
            f"an index of Vectorize has {low} to {high} dimensions; got {dimensions}"
        )
    check_metric(metric)
    return IndexConfig(dimensions, metric)


def _with_layout(wanted: Mapping[str, IndexType]) -> dict[str, IndexType]:
    for name, index_type in layout.METADATA_INDEXES.items():
        if wanted.get(name, index_type) != index_type:
            raise InvalidInputError(
                f"the metadata index on {name!r} belongs to the record layout and has the type "
                f"{index_type!r}, not {wanted[name]!r}"
            )
    return {**layout.METADATA_INDEXES, **wanted}


def check_metric(metric: Metric) -> None:
    """One of the three metrics."""
    if metric not in METRICS:
        raise InvalidInputError(f"{metric!r} is not a metric; metrics are {list(METRICS)}")


def check_metadata_indexes(index: str, wanted: Mapping[str, str]) -> None:
    """Check the names, types and number of the metadata indexes of an index."""
    if not isinstance(wanted, Mapping):
        raise InvalidInputError(
            f"metadata_indexes is a dict such as {{'year': 'number'}}; got {shown(wanted)}"
        )
    if len(wanted) > limits.MAX_METADATA_INDEXES:
        raise ConfigurationError(
            f"index {index!r} would have {len(wanted)} metadata indexes; Vectorize allows "
            f"{limits.MAX_METADATA_INDEXES}: {', '.join(map(str, wanted))}"
        )
    for name, index_type in wanted.items():
        if index_type not in INDEX_TYPES:
            raise InvalidInputError(
                f"the metadata index on {name!r} has the type {index_type!r}; "
                f"types are {list(INDEX_TYPES)}"
            )
        if not isinstance(name, str) or not _can_be_indexed(name):
            raise InvalidInputError(f"{name!r} cannot be the name of a metadata property")


def _can_be_indexed(name: str) -> bool:
    if not name or name.startswith("$") or '"' in name or jsontext.has_lone_surrogate(name):
        return False
    return len(name) <= limits.MAX_METADATA_KEY_CHARS


def _check_same(found: IndexDetails, wanted: IndexConfig) -> None:
    if found.config != wanted:
        raise ConfigurationError(
            f"the index {found.name!r} exists with {found.config.dimensions} dimensions and the "
            f"metric {found.config.metric!r}, not {wanted.dimensions} and {wanted.metric!r}; "
            "neither can be changed. Choose another name, or delete it first"
        )
