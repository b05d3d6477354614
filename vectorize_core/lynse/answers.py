"""What a LynseDB answers, as values; an answer of another form is an `UnexpectedAnswerError`."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vectorize_core.api.parts import a_list as any_list
from vectorize_core.api.parts import a_text as text
from vectorize_core.api.parts import an_object, optional_text, whole, wrong
from vectorize_core.errors import UnexpectedAnswerError
from vectorize_core.lynse.models import (
    CollectionConfig,
    CollectionStats,
    Fields,
    Hits,
    Id,
    Rows,
    VectorField,
)

__all__ = ["a_list", "an_object", "optional_text", "whole"]

_IDS: Final = {str, int}


def a_list(value: Any, place: str, length: int | None = None) -> list[Any]:
    """A list, of so many things if that is known."""
    found = any_list(value, place)
    if length is not None and len(found) != length:
        raise UnexpectedAnswerError(f"{place} has {len(found)} entries, not {length}")
    return found


def read_flag(params: Any, name: str) -> bool:
    """True or false."""
    found = params.get(name)
    if type(found) is not bool:
        raise wrong(name, found, "true or false")
    return found


def read_names(params: Any, name: str) -> tuple[str, ...]:
    """Names of databases, collections or fields."""
    found = a_list(params.get(name), name)
    return tuple([text(one, f"{name}[{at}]") for at, one in enumerate(found)])


def read_ids(found: Any, place: str, length: int | None = None) -> tuple[Id, ...]:
    """Ids, which are texts and whole numbers."""
    ids = a_list(found, place, length)
    if not set(map(type, ids)) <= _IDS:
        at = next(at for at, one in enumerate(ids) if type(one) not in _IDS)
        raise wrong(f"{place}[{at}]", ids[at], "a text or a whole number")
    return tuple(ids)


def read_written(params: Any, ids: tuple[Id, ...]) -> tuple[Id, ...]:
    """The ids that were written, which are those that were sent."""
    one = params.get("item")
    found = [an_object(one, "item").get("id")] if one is not None else params.get("ids")
    if read_ids(found, "ids", len(ids)) != ids:
        raise UnexpectedAnswerError("ids are others than were sent")
    return ids


def read_shape(params: Any) -> tuple[int, int]:
    """How many vectors, of how many dimensions."""
    count, dim = a_list(params.get("shape"), "shape", 2)
    return whole(count, "shape[0]"), whole(dim, "shape[1]")


def read_max_id(params: Any) -> int | None:
    """The largest number of a row, if there is one: an empty collection says null, or -1."""
    found = params.get("max_id")
    return None if found is None or found == -1 else whole(found, "max_id", most=2**63 - 1)


def read_stats(params: Any) -> CollectionStats:
    """The answer of ``/stats``."""
    stats = an_object(params.get("stats"), "stats")
    mode = optional_text(stats.get("index_mode"), "stats.index_mode")
    return CollectionStats(
        n_vectors=whole(stats.get("n_vectors"), "stats.n_vectors"),
        n_live=whole(stats.get("n_live"), "stats.n_live"),
        n_tombstoned=whole(stats.get("n_tombstoned"), "stats.n_tombstoned"),
        dimension=whole(stats.get("dimension"), "stats.dimension"),
        index_mode=None if mode == "none" else mode,
        max_id=read_max_id(stats),
    )


def read_config(params: Any) -> CollectionConfig:
    """The answer of ``/get_collection_config``."""
    config = an_object(params.get("config"), "config")
    return CollectionConfig(
        dim=whole(config.get("dim"), "config.dim"),
        dtypes=text(config.get("dtypes"), "config.dtypes"),
        chunk_size=whole(config.get("chunk_size"), "config.chunk_size"),
        description=optional_text(config.get("description"), "config.description"),
    )


def read_vector_field(found: Any, place: str) -> VectorField:
    """A named vector."""
    field = an_object(found, place)
    return VectorField(
        name=text(field.get("name"), f"{place}.name"),
        dimension=whole(field.get("dimension"), f"{place}.dimension"),
        metric=text(field.get("metric"), f"{place}.metric"),
        index_mode=optional_text(field.get("index_mode"), f"{place}.index_mode"),
        dtypes=text(field.get("dtypes"), f"{place}.dtypes"),
    )


def read_hits(found: Any, place: str, most: int, with_fields: bool, scores: str = "scores") -> Hits:
    """What a search found: at most so many records, with metadata if it was asked for."""
    items = an_object(found, place)
    ids = read_ids(items.get("ids"), f"{place}.ids")
    if len(ids) > most:
        raise UnexpectedAnswerError(f"{len(ids)} records, where {most} were asked for")
    values = _scores(items.get(scores), f"{place}.{scores}", len(ids))
    fields: tuple[Fields, ...] = ()
    if with_fields:
        fields = _fields(items.get("fields"), f"{place}.fields", len(ids))
    return Hits(ids, values, fields)


def _scores(found: Any, place: str, length: int) -> NDArray[np.float64]:
    values = a_list(found, place, length)
    for at, value in enumerate(values):
        if value is None:
            values[at] = math.nan
        elif type(value) not in (float, int):
            raise wrong(f"{place}[{at}]", value, "a number")
    return np.array(values, dtype=np.float64)


def _fields(found: Any, place: str, length: int) -> tuple[Fields, ...]:
    rows = a_list(found, place, length)
    return tuple([an_object(row, f"{place}[{at}]") for at, row in enumerate(rows)])


def read_fields(found: Any, place: str) -> Rows:
    """The answer of ``/query``: metadata, with the id under "id"."""
    rows = [an_object(row, f"{place}[{at}]") for at, row in enumerate(a_list(found, place))]
    ids = read_ids([row.pop("id", None) for row in rows], place)
    return Rows(ids, tuple(rows))


def read_rows(found: Any, place: str) -> Rows:
    """Records: vectors, ids and metadata, each in a list."""
    vectors, ids, fields = a_list(found, place, 3)
    known = read_ids(ids, f"{place}[1]")
    rows = a_list(vectors, f"{place}[0]", len(known))
    try:
        array = np.array(rows, dtype=np.float32) if rows else np.empty((0, 0), np.float32)
    except (ValueError, TypeError):
        array = np.empty(0, np.float32)
    if array.ndim != 2:
        raise wrong(f"{place}[0]", rows, "vectors of one length")
    return Rows(known, _fields(fields, f"{place}[2]", len(known)), array)
