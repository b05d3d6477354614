"""Metadata indexes: created, deleted, waited for, safely where an answer is lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final, TypeVar

from vectorize_core import jsontext, layout, limits
from vectorize_core.api import validation
from vectorize_core.api.operations import (
    CreateMetadataIndex,
    DeleteMetadataIndex,
    GetIndex,
    ListMetadataIndexes,
    Op,
)
from vectorize_core.errors import (
    BadRequestError,
    ConfigurationError,
    InvalidInputError,
    WaitTimeoutError,
    shown,
)
from vectorize_core.models import INDEX_TYPES, IndexType, Mutation
from vectorize_core.state.index_state import IndexState, get_details, get_metadata_indexes
from vectorize_core.state.polling import Polling
from vectorize_core.transport.io import Io

T = TypeVar("T")
DEFAULT_WAIT_TIMEOUT: Final = 600.0
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


async def create_metadata_index(
    io: Io, state: IndexState, property_name: str, index_type: IndexType
) -> Mutation:
    """Create one metadata index; the mutation has no id if its answer was lost."""
    validation.text("property_name", property_name)
    check_metadata_indexes(state.name, {property_name: index_type})

    async def settled() -> Mutation | None:
        present = await get_metadata_indexes(io, state, refresh=True)
        return Mutation(None) if present.get(property_name) == index_type else None

    op = CreateMetadataIndex(state.name, property_name, index_type)
    mutation = await repeat_settled(io, op, settled)
    state.deleted_at.pop(property_name, None)
    state.awaited.add(property_name)
    state.forget_coverage(property_name)
    if state.finished:
        state.lapsed.add(property_name)
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
    state.awaited.discard(property_name)
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
        present = await wait_for_indexes(io, state, polling, dropped, live=False)
    _check_types(state, present, wanted)
    check_metadata_indexes(state.name, {**present, **wanted})
    missing = in_order(wanted.keys() - present.keys())
    for name in missing:
        await create_unless_there(io, state, name, wanted[name])
    if missing:
        present = await wait_for_indexes(io, state, polling, set(missing), live=True)
        _check_types(state, present, wanted)


async def create_unless_there(io: Io, state: IndexState, name: str, index_type: IndexType) -> None:
    """Create a metadata index; that another client does so at the same time is no error."""
    try:
        await create_metadata_index(io, state, name, index_type)
    except BadRequestError as error:
        # One that is not live yet is not listed either, so only the words tell.
        if "exist" not in error.message:
            present = await get_metadata_indexes(io, state, refresh=True)
            if name not in present:
                raise


def in_order(names: Collection[str]) -> list[str]:
    """Metadata indexes in the order in which they are created (docs/layout.md)."""
    return sorted(
        names, key=lambda name: (name in layout.METADATA_INDEXES, name == layout.LAST_INDEXED, name)
    )


def _check_types(
    state: IndexState, present: Mapping[str, IndexType], wanted: Mapping[str, IndexType]
) -> None:
    for name, index_type in wanted.items():
        if present.get(name, index_type) != index_type:
            raise ConfigurationError(
                f"index {state.name!r}: the metadata index on {name!r} has the type "
                f"{present[name]!r}, not {index_type!r}; delete it first to change it"
            )


def _was_just_deleted(state: IndexState, name: str) -> bool:
    at = state.deleted_at.get(name)
    return at is not None and time.monotonic() - at < DEFAULT_WAIT_TIMEOUT


async def wait_for_indexes(
    io: Io,
    state: IndexState,
    polling: Polling,
    names: set[str],
    *,
    live: bool,
    meanwhile: Callable[[Mapping[str, IndexType]], Awaitable[None]] | None = None,
) -> Mapping[str, IndexType]:
    """Wait until metadata indexes are live, or gone; returns all live ones.

    ``meanwhile`` is awaited with those that are live at each poll.
    """
    details = await get_details(io, state)
    next_look, pending = 5.0, names

    async def settled() -> bool:
        nonlocal next_look, pending
        if polling.waited >= next_look:
            next_look = polling.waited + 15.0
            now = await io.once(GetIndex(state.name), patience=polling.left)
            state.learn(now, io.now())
            state.check_same(details.created_on)
        listed = await io.once(ListMetadataIndexes(state.name), patience=polling.left)
        present = state.learn_metadata_indexes(listed, io.now())
        pending = names - present.keys() if live else names & present.keys()
        if pending and meanwhile is not None:
            await meanwhile(present)
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
        if not isinstance(index_type, str) or index_type not in INDEX_TYPES:
            raise InvalidInputError(
                f"the metadata index on {name!r} has the type {index_type!r}; "
                f"types are {list(INDEX_TYPES)}. No metadata index holds lists or objects: keep a "
                "property for each item, and name what is inside an object, such as 'author.name'"
            )
        if not isinstance(name, str) or not _can_be_indexed(name):
            raise InvalidInputError(
                f"{name!r} cannot be the name of a metadata property: that is a text of 1 to "
                f"{limits.MAX_METADATA_KEY_CHARS} characters that does not start with '$' and has "
                "no '\"' in it"
            )


def _can_be_indexed(name: str) -> bool:
    if not name or name.startswith("$") or '"' in name or jsontext.has_lone_surrogate(name):
        return False
    return len(name) <= limits.MAX_METADATA_KEY_CHARS
