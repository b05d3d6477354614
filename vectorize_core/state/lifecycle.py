"""Creating and deleting indexes, once for all who want to, and safely where an answer is lost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TypedDict, cast

from vectorize_core import layout, limits
from vectorize_core.api import validation
from vectorize_core.api.operations import CreateIndex, DeleteIndex, GetIndex, GetInfo
from vectorize_core.errors import (
    ApiError,
    BadRequestError,
    ConfigurationError,
    IndexExistsError,
    IndexNotFoundError,
    InvalidInputError,
    NotFoundError,
    VectorizeError,
    WaitTimeoutError,
)
from vectorize_core.models import (
    METRICS,
    PRESETS,
    IndexConfig,
    IndexDetails,
    IndexType,
    Metric,
    Preset,
)
from vectorize_core.state.index_state import IndexState, get_details, get_metadata_indexes
from vectorize_core.state.metadata_indexes import (
    DEFAULT_WAIT_TIMEOUT,
    check_metadata_indexes,
    create_unless_there,
    ensure_metadata_indexes,
    in_order,
    repeat_settled,
    wait_for_indexes,
)
from vectorize_core.state.polling import Polling
from vectorize_core.transport.io import Io

_PATIENCE = 3.0
"""Seconds in which another client that creates an index has asked for its metadata indexes."""
_DELETION = 60.0
"""Seconds after which a deleted index no longer keeps its name."""
_CREATION = 600.0
"""Seconds after which nobody is creating an index any more."""


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
    validation.text("description", description)
    validation.flag("record_layout", record_layout)
    validation.flag("exist_ok", exist_ok)
    validation.number("wait_timeout", wait_timeout, least=0.0, most=math.inf)
    config = _config(dimensions, metric, preset)
    wanted: dict[str, IndexType] = {}
    if metadata_indexes is not None:
        check_metadata_indexes(state.name, metadata_indexes)
        wanted = dict(metadata_indexes)
    if record_layout:
        wanted = with_layout(wanted)
    check_metadata_indexes(state.name, wanted)
    if record_layout:
        description = layout.note(description, wanted)
    op = CreateIndex(state.name, preset if preset is not None else config, description)
    polling = Polling(io, wait_timeout)
    async with state.creating.alone(io, wait_timeout):
        try:
            details = await _create(io, state, op, config)
        except IndexExistsError:
            if not exist_ok:
                raise
            details = await get_details(io, state, refresh=True)
            _check_same(details, config)
            # Only those noted when it was created, and those asked for here by name.
            noted = layout.read_note(details.description).properties
            named = metadata_indexes if metadata_indexes is not None else {}
            wanted = {name: kind for name, kind in wanted.items() if name in noted or name in named}
            await _finish(io, state, wanted, polling.left, at_once=True)
        if wanted:
            await ensure_metadata_indexes(io, state, wanted, wait_timeout=polling.left)
        state.finished = True
    return details


async def create_missing(
    io: Io,
    state: IndexState,
    *,
    dimensions: int,
    metric: Metric | None,
    metadata_indexes: Mapping[str, IndexType],
    text_index: bool = False,
) -> None:
    """Create an index as `create_index` does, unless it is there by then; that is left as it is.

    With ``metric`` None any will do, and a new index gets "cosine". With ``text_index`` its
    description says that it has one.

    Calls of this connection do it once: the others wait for the first. So does one that comes
    second to another client, until the index is finished.
    """
    config = _config(dimensions, metric if metric is not None else "cosine", None)
    wanted = with_layout(metadata_indexes)
    check_metadata_indexes(state.name, wanted)
    op = CreateIndex(state.name, config, layout.note("", wanted, text_index=text_index))
    async with state.creating.alone(io, DEFAULT_WAIT_TIMEOUT):
        details = state.details
        if details is None:
            try:
                await _create(io, state, op, config)
            except IndexExistsError:
                details = await get_details(io, state, refresh=True)
            else:
                await ensure_metadata_indexes(io, state, wanted)
                state.finished = True
                return
        if metric is None:
            config = replace(config, metric=details.config.metric)
        _check_same(details, config)
        await _finish(io, state, wanted, DEFAULT_WAIT_TIMEOUT)


async def _create(io: Io, state: IndexState, op: CreateIndex, config: IndexConfig) -> IndexDetails:
    async def settled() -> IndexDetails | None:
        try:
            found = await io.call(GetIndex(state.name))
        except NotFoundError:
            return None
        return found if found.config == config else None

    state.forget()
    details = await repeat_settled(io, op, settled)
    state.own_writes.forget()
    state.learn(details, io.now())
    state.began = True
    return details


async def finish(
    io: Io, state: IndexState, known: Mapping[str, IndexType] = layout.METADATA_INDEXES
) -> None:
    """Wait until an index that is just being made has all its metadata indexes.

    To be awaited before a record is written: one written earlier would stand outside them for
    ever. The note in its description names them, and the last of them shows whether it was ever
    finished. One that is missing beside the last, or from an index with vectors, was deleted on
    purpose and is not waited for. What nobody creates within a few seconds, as its creator has
    ended, is created here, if its type is ``known``.

    `WaitTimeoutError` after ten minutes.
    """
    if state.finished:
        return
    async with state.creating.alone(io, DEFAULT_WAIT_TIMEOUT):
        await get_details(io, state)
        await _finish(io, state, known, DEFAULT_WAIT_TIMEOUT)


async def _finish(
    io: Io,
    state: IndexState,
    known: Mapping[str, IndexType],
    wait_timeout: float,
    *,
    at_once: bool = False,
) -> None:
    noted, last = state.noted, layout.LAST_INDEXED
    if state.finished or last not in noted:
        state.finished = True
        return
    present = await get_metadata_indexes(io, state)
    if not (last in present or noted <= present.keys()):
        present = await get_metadata_indexes(io, state, refresh=True)
    if last in present or not await _is_unfinished(io, state):
        state.finished = True
        return
    polling = Polling(io, wait_timeout)
    patience = 0.0 if at_once or state.began else _PATIENCE
    asked: set[str] = set()
    refusal: ApiError | None = None

    async def create_what_nobody_does(present: Mapping[str, IndexType]) -> None:
        nonlocal refusal
        missing = noted - present.keys()
        if polling.waited < patience:
            return
        for name in in_order(missing & known.keys() - asked):
            if name == last and not missing <= known.keys():
                # It would say that the others are there too.
                return
            asked.add(name)
            polling.hasten()
            try:
                await create_unless_there(io, state, name, known[name])
            except BadRequestError as error:
                refusal = error

    try:
        await wait_for_indexes(
            io, state, polling, set(noted), live=True, meanwhile=create_what_nobody_does
        )
    except WaitTimeoutError as error:
        raise WaitTimeoutError(
            f"{error}. So nothing is written to this index, which is not finished. If nobody is "
            "creating it any more, finish it by create_index() with exist_ok=True and the "
            "metadata_indexes= that it was to have, or delete it: it is empty"
        ) from refusal or error.__cause__
    state.finished = True


async def _is_unfinished(io: Io, state: IndexState) -> bool:
    """Whether nothing was ever written to an index, and nothing happened to it but its creation."""
    info, details = await io.call(GetInfo(state.name)), await get_details(io, state)
    changed, created = info.processed_up_to_datetime, details.created_on
    if info.vector_count:
        return False
    return changed is None or created is None or (changed - created).total_seconds() < _CREATION


async def recreate_index(io: Io, state: IndexState) -> None:
    """Delete an index and create it as it was, empty, with its metadata indexes.

    One that this client has created and that is not live yet is waited for first: the service tells
    nothing of it. An error after the deletion says how to create the index.
    """
    polling = Polling(io, DEFAULT_WAIT_TIMEOUT)
    details = await get_details(io, state, refresh=True)
    if state.awaited:
        await wait_for_indexes(io, state, polling, set(state.awaited), live=True)
    indexed = dict(await get_metadata_indexes(io, state, refresh=True))
    config, description = details.config, layout.noted_anew(details.description, indexed)
    op = CreateIndex(state.name, config, description)
    created, refusal = False, None

    async def is_made() -> bool:
        nonlocal created, refusal
        try:
            if not created:
                await _create(io, state, op, config)
            created = True
            await ensure_metadata_indexes(io, state, indexed, wait_timeout=polling.left)
        except (IndexExistsError, IndexNotFoundError) as error:
            # The deletion may not be over, or not everybody knows the new one yet.
            refusal = error
            return False
        return True

    async with state.creating.alone(io, DEFAULT_WAIT_TIMEOUT):
        await delete_index(io, state)
        try:
            deletion = Polling(io, _DELETION)
            if not await deletion.until(is_made):
                raise cast("Exception", deletion.failure or refusal)
        except VectorizeError as error:
            own = {n: kind for n, kind in indexed.items() if n not in layout.METADATA_INDEXES}
            error.add_note(
                f"The index {state.name!r} is deleted. Create it by create_index({state.name!r}, "
                f"dimensions={config.dimensions}, metric={config.metric!r}, "
                f"metadata_indexes={own!r}, record_layout={layout.REF in indexed}, exist_ok=True)"
            )
            raise
        state.finished = True


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


def _config(dimensions: int | None, metric: Metric, preset: Preset | None) -> IndexConfig:
    if (dimensions is None) == (preset is None):
        raise InvalidInputError("an index takes either dimensions= or preset=")
    if preset is not None:
        if not isinstance(preset, str) or preset not in PRESETS:
            raise InvalidInputError(f"{preset!r} is not a preset; presets are {list(PRESETS)}")
        return IndexConfig(*PRESETS[preset])
    low, high = limits.MIN_DIMENSIONS, limits.MAX_DIMENSIONS
    dimensions = validation.whole_number("dimensions", dimensions)
    if not low <= dimensions <= high:
        raise InvalidInputError(
            f"an index of Vectorize has {low} to {high} dimensions; got {dimensions}"
            + (". Many models make shorter embeddings if asked" if dimensions > high else "")
        )
    check_metric(metric)
    return IndexConfig(dimensions, metric)


def with_layout(wanted: Mapping[str, IndexType]) -> dict[str, IndexType]:
    """Also the metadata indexes of the record layout; their types are not to choose."""
    for name, index_type in layout.METADATA_INDEXES.items():
        if wanted.get(name, index_type) != index_type:
            raise InvalidInputError(
                f"the metadata index on {name!r} belongs to the record layout and has the type "
                f"{index_type!r}, not {wanted[name]!r}"
            )
    return {**layout.METADATA_INDEXES, **wanted}


def check_metric(metric: Metric) -> None:
    """One of the three metrics."""
    if not isinstance(metric, str) or metric not in METRICS:
        raise InvalidInputError(f"{metric!r} is not a metric; metrics are {list(METRICS)}")


def _check_same(found: IndexDetails, wanted: IndexConfig) -> None:
    if found.config != wanted:
        raise ConfigurationError(
            f"the index {found.name!r} exists with {found.config.dimensions} dimensions and the "
            f"metric {found.config.metric!r}, not {wanted.dimensions} and {wanted.metric!r}; "
            "neither can be changed. Choose another name, or delete it first"
        )
