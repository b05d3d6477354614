"""What the service answers, as models; checked against what was asked.

Nothing leaves here that code further on could misread: an answer of another form, of other records
than asked for, or with numbers that are none, is an `UnexpectedAnswerError` that names the place.
Tolerant only where the service is known to differ from its own pages, or where a field is optional:
capitalised index types, writes without a mutation id, whole numbers written as ``7.0``.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

import numpy as np

from vectorize_core.api.parts import a_list, a_text, an_object, number, optional_text, whole, wrong
from vectorize_core.errors import UnexpectedAnswerError, shown
from vectorize_core.models import (
    INDEX_TYPES,
    METRICS,
    IdPage,
    IndexConfig,
    IndexDetails,
    IndexInfo,
    IndexType,
    Match,
    MetadataIndex,
    Metric,
    Mutation,
    QueryResult,
    Values,
    Vector,
    are_finite,
)

_MOST_DIMENSIONS: Final = 2**16
"""Far more than any embedding model has; vectors of absurd lengths would take all memory."""
_LONGEST_CURSOR: Final = 8_192
"""Characters; it is sent in the URL, and servers refuse longer ones."""
_DEEPEST: Final = 200
"""Levels of nesting in metadata, of which Python code goes through one with every call or two."""
_TOO_LARGE: Final = 2.0**128 - 2.0**103
"""What float32 rounds to infinity."""
_FLAT: Final = {str, int, float, bool, type(None)}


def read_index(
    result: Any, place: str = "", *, name: str | None = None, config: IndexConfig | None = None
) -> IndexDetails:
    """An index in the answers of creating, getting and listing; of the name and configuration."""
    entry = an_object(result, place or "result")
    at = f"{place}." if place else ""
    found = a_text(entry.get("name"), f"{at}name")
    if name is not None and found.casefold() != name.casefold():
        raise wrong(f"{at}name", found, f"{name!r}, which was asked for")
    stored = an_object(entry.get("config"), f"{at}config")
    dimensions = stored.get("dimensions")
    details = IndexDetails(
        name=found,
        config=IndexConfig(
            whole(dimensions, f"{at}config.dimensions", least=1, most=_MOST_DIMENSIONS),
            cast("Metric", _one_of(stored.get("metric"), f"{at}config.metric", METRICS)),
        ),
        description=optional_text(entry.get("description"), f"{at}description") or "",
        created_on=_time(entry.get("created_on"), f"{at}created_on"),
        modified_on=_time(entry.get("modified_on"), f"{at}modified_on"),
    )
    if config is not None and details.config != config:
        wanted = f"{config.dimensions} dimensions and {config.metric!r}, which were asked for"
        raise wrong(f"{at}config", stored, wanted)
    return details


def read_indexes(result: Any) -> tuple[IndexDetails, ...]:
    """The answer of listing the indexes of an account."""
    entries = a_list(result, "result")
    indexes = tuple([read_index(entry, f"result[{at}]") for at, entry in enumerate(entries)])
    _check_unique([index.name for index in indexes], "result", "name")
    return indexes


def read_info(result: Any) -> IndexInfo:
    """The answer of ``/info``; its two ``processedUpTo`` are absent before the first mutation."""
    info, mutation = an_object(result, "result"), "processedUpToMutation"
    dimensions = info.get("dimensions")
    return IndexInfo(
        dimensions=whole(dimensions, "dimensions", least=1, most=_MOST_DIMENSIONS),
        vector_count=whole(info.get("vectorCount"), "vectorCount"),
        processed_up_to_datetime=_time(info.get("processedUpToDatetime"), "processedUpToDatetime"),
        processed_up_to_mutation=_optional_id(info.get(mutation), mutation),
    )


def read_mutation(result: Any) -> Mutation:
    """The receipt of a write. It was accepted, so one without an id is not refused."""
    if result is None:
        return Mutation(None)
    return Mutation(_optional_id(an_object(result, "result").get("mutationId"), "mutationId"))


def read_query(
    result: Any,
    *,
    top_k: int,
    namespace: str | None = None,
    dimensions: int | None = None,
    return_values: bool = False,
) -> QueryResult:
    """The answer of ``/query``, in the order of the service.

    At most ``top_k`` matches, each once, of the ``namespace`` unless None, with values if they were
    asked for: ``dimensions`` of them, or else as many as the first has.
    """
    answer = an_object(result, "result")
    entries = a_list(answer.get("matches"), "matches")
    _check_count(answer.get("count"), entries)
    if len(entries) > top_k:
        raise UnexpectedAnswerError(f"{len(entries)} matches, where {top_k} were asked for")
    matches: list[Match] = []
    values_of: dict[int, list[Any]] = {}
    arrays: list[Values] = []
    for at, entry in enumerate(entries):
        if type(entry) is not dict:
            raise wrong(f"matches[{at}]", entry, "an object")
        get = entry.get
        vector_id, score, values = get("id"), get("score"), get("values")
        metadata, of = get("metadata"), get("namespace")
        # First of all: of a record of another namespace, nothing else may be told.
        if of is not None and (type(of) is not str or (namespace is not None and of != namespace)):
            raise _other_namespace(of, f"matches[{at}].namespace")
        if type(vector_id) is not str or not vector_id:
            raise wrong(f"matches[{at}].id", vector_id, "the id of a vector")
        if type(score) is not float or not math.isfinite(score):
            score = number(score, f"matches[{at}].score")
        if metadata is not None:
            _check_metadata(metadata, f"matches[{at}].metadata")
        array = None
        if values is not None:
            array = _values(values, f"matches[{at}].values", dimensions)
            dimensions = len(array)
            values_of[at] = values
            arrays.append(array)
        elif return_values:
            raise wrong(f"matches[{at}].values", values, "the values, which were asked for")
        matches.append(Match(vector_id, score, array, metadata, of))
    _check_unique([match.id for match in matches], "matches")
    _check_numbers(values_of, arrays, "matches")
    return QueryResult(len(matches), tuple(matches))


def read_vectors(result: Any, ids: Collection[str]) -> tuple[Vector, ...]:
    """The answer of ``/get_by_ids``: some of the vectors asked for, each once."""
    entries = a_list(result, "result")
    vectors: list[Vector] = []
    dimensions: int | None = None
    for at, found in enumerate(entries):
        entry = an_object(found, f"result[{at}]")
        vector_id, metadata = entry.get("id"), entry.get("metadata")
        namespace = entry.get("namespace")
        if type(vector_id) is not str:
            raise wrong(f"result[{at}].id", vector_id, "the id of a vector")
        if vector_id not in ids:
            # It may be somebody else's.
            raise UnexpectedAnswerError(f"result[{at}].id is none of those that were asked for")
        if namespace is not None and type(namespace) is not str:
            raise _other_namespace(namespace, f"result[{at}].namespace")
        if metadata is not None:
            _check_metadata(metadata, f"result[{at}].metadata")
        values = _values(entry.get("values"), f"result[{at}].values", dimensions)
        dimensions = len(values)
        vectors.append(Vector(vector_id, values, namespace, metadata))
    _check_unique([vector.id for vector in vectors], "result")
    values_of = {at: entry["values"] for at, entry in enumerate(entries)}
    _check_numbers(values_of, [vector.values for vector in vectors], "result")
    return tuple(vectors)


def read_id_page(result: Any, count: int) -> IdPage:
    """The answer of ``/list``: at most ``count`` ids, and a cursor if there are more."""
    page = an_object(result, "result")
    entries = a_list(page.get("vectors"), "vectors")
    _check_count(page.get("count"), entries)
    if len(entries) > count:
        raise UnexpectedAnswerError(f"{len(entries)} vectors, where {count} were asked for")
    ids = []
    for at, entry in enumerate(entries):
        ids.append(a_text(an_object(entry, f"vectors[{at}]").get("id"), f"vectors[{at}].id"))
    _check_unique(ids, "vectors")
    total, cursor = page.get("totalCount"), page.get("nextCursor")
    truncated = page.get("isTruncated")
    if truncated is not None and type(truncated) is not bool:
        raise wrong("isTruncated", truncated, "true or false")
    if truncated is None:
        truncated = cursor is not None
    if truncated and not (type(cursor) is str and 0 < len(cursor) <= _LONGEST_CURSOR):
        raise wrong("nextCursor", cursor, "a cursor, though there are more vectors")
    return IdPage(
        tuple(ids),
        total_count=len(ids) if total is None else whole(total, "totalCount"),
        next_cursor=cursor if truncated else None,
        cursor_expires=_time(page.get("cursorExpirationTimestamp"), "cursorExpirationTimestamp"),
    )


def read_metadata_indexes(result: Any) -> tuple[MetadataIndex, ...]:
    """The answer of ``/metadata_index/list``; the service capitalises the types it was given.

    It may list a property twice: it accepts a second index on it.
    """
    indexes = []
    entries = an_object(result, "result").get("metadataIndexes")
    for at, found in enumerate(a_list(entries, "metadataIndexes")):
        place = f"metadataIndexes[{at}]"
        entry = an_object(found, place)
        kind = entry.get("indexType")
        kind = kind.lower() if type(kind) is str else kind
        indexes.append(
            MetadataIndex(
                a_text(entry.get("propertyName"), f"{place}.propertyName"),
                cast("IndexType", _one_of(kind, f"{place}.indexType", INDEX_TYPES)),
            )
        )
    return tuple(indexes)


def read_rows(result: Any, statements: int, *, of_reads: bool) -> tuple[list[tuple[Any, ...]], ...]:
    """The answer of D1: the rows of each statement, of one that writes none if it says so."""
    found = a_list(result, "result")
    if len(found) != statements:
        raise UnexpectedAnswerError(f"{len(found)} results of {statements} statements")
    return tuple([_rows(one, f"result[{at}]", of_reads) for at, one in enumerate(found)])


def _rows(result: Any, place: str, of_reads: bool) -> list[tuple[Any, ...]]:
    one = an_object(result, place)
    if (success := one.get("success")) is not None and success is not True:
        raise wrong(f"{place}.success", success, "true")
    results = one.get("results")
    if results is None and not of_reads:
        return []
    results = an_object(results, f"{place}.results")
    columns = results.get("columns")
    width = None if columns is None else len(a_list(columns, f"{place}.results.columns"))
    rows = []
    for at, row in enumerate(a_list(results.get("rows"), f"{place}.results.rows")):
        if type(row) is not list or (width is not None and len(row) != width):
            wanted = "a list" if width is None else f"a list of {width} values"
            raise wrong(f"{place}.results.rows[{at}]", row, wanted)
        rows.append(tuple(row))
    return rows


def read_count(result: Any) -> int:
    """A number of vectors."""
    return whole(result, "result")


# The parts of answers, each with its place in them


def _optional_id(value: Any, place: str) -> str | None:
    return None if value is None else a_text(value, place)


def _one_of(value: Any, place: str, choices: Sequence[str]) -> str:
    if type(value) is not str or value not in choices:
        raise wrong(place, value, f"one of {', '.join(choices)}")
    return value


def _time(value: Any, place: str) -> datetime | None:
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise wrong(place, value, "a time such as 2026-04-30T13:24:56Z") from None
    # Without a zone it could not be compared with the others.
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _check_count(count: Any, entries: Sequence[Any]) -> None:
    """``count``, where it is given, is that of the entries; else some of them have been lost."""
    if count is not None and whole(count, "count") != len(entries):
        raise UnexpectedAnswerError(f"count is {shown(count)}, but {len(entries)} entries came")


def _check_unique(ids: Sequence[str], place: str, kind: str = "id") -> None:
    if len(set(ids)) == len(ids):
        return
    first: dict[str, int] = {}
    for at, given in enumerate(ids):
        if given in first:
            raise UnexpectedAnswerError(
                f"{place}[{at}].{kind} is {shown(given)}, like that of {place}[{first[given]}]"
            )
        first[given] = at


def _other_namespace(found: Any, place: str) -> UnexpectedAnswerError:
    if type(found) is not str:
        return wrong(place, found, "a text")
    # Whose records they are is nobody else's business.
    return UnexpectedAnswerError(f"{place} is another one than was asked for")


def _check_metadata(metadata: Any, place: str) -> None:
    if type(metadata) is not dict:
        raise wrong(place, metadata, "an object")
    if not set(map(type, metadata.values())) <= _FLAT and _is_deep(metadata):
        raise UnexpectedAnswerError(f"{place} is nested deeper than {_DEEPEST} levels")


def _is_deep(metadata: dict[str, Any]) -> bool:
    level: list[Any] = [metadata]
    for _ in range(_DEEPEST):
        level = [
            item
            for value in level
            for item in (value.values() if type(value) is dict else value)
            if type(item) in (dict, list)
        ]
        if not level:
            return False
    return True


def _values(values: Any, place: str, dimensions: int | None) -> Values:
    if type(values) is not list or not values:
        raise wrong(place, values, "a list of numbers")
    if dimensions is not None and len(values) != dimensions:
        raise UnexpectedAnswerError(f"{place} has {len(values)} values, not {dimensions}")
    try:
        packed = struct.pack(f"{len(values)}f", *values)
    except (struct.error, OverflowError, TypeError):
        at = next(at for at, value in enumerate(values) if not _is_number(value))
        raise wrong(f"{place}[{at}]", values[at], "a number") from None
    return np.frombuffer(bytearray(packed), dtype=np.float32)


def _is_number(value: Any) -> bool:
    """Whether it is one that fits into a float32."""
    return type(value) in (int, float) and abs(value) < _TOO_LARGE


def _check_numbers(values: Mapping[int, list[Any]], arrays: Sequence[Values], place: str) -> None:
    """No boolean among the values, which Python takes for 0 and 1, and none that is infinite.

    To look at the type of each would take as long as to read them, so only where a 0 or 1 is.
    """
    if not arrays:
        return
    read = np.concatenate(arrays)
    if np.count_nonzero(read) == np.count_nonzero(read - 1) == len(read) and are_finite(read):
        return
    for (at, some), array in zip(values.items(), arrays, strict=True):
        if not set(map(type, some)) <= {float} or not are_finite(array):
            for n, value in enumerate(some):
                if not _is_number(value):
                    raise wrong(f"{place}[{at}].values[{n}]", value, "a number of float32")
