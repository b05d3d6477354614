"""Refuses wrong arguments, and what the service would refuse, before anything is embedded or sent.

Pure functions; every message names the argument or the record, and what to do about it.
"""

from __future__ import annotations

import operator
import re
import sys
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import filterfalse
from typing import Any, Final, TypeAlias, TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import ArrayLike

from vectorize_core import jsontext, limits
from vectorize_core.errors import (
    At,
    InvalidInputError,
    InvalidVectorError,
    OversizedError,
    key_in_words,
    shown,
)
from vectorize_core.models import ValueRows, Values, are_finite, as_values
from vectorize_core.wording import DEFAULT, Wording

T = TypeVar("T")
Named: TypeAlias = Callable[[int], At]
"""What errors call the vector of that number in a list."""

# Arguments of any kind, called ``name`` in errors


def whole_number(name: str, value: Any, *, least: int = 0, most: int = sys.maxsize) -> int:
    """A count, as an int: any integer, NumPy's too, or a float such as 5.0; but not a boolean."""
    count: int | None = None
    if isinstance(value, (float, np.floating)):
        count = int(value) if value.is_integer() else None
    elif not isinstance(value, (bool, np.bool_)):
        try:
            count = operator.index(value)
        except TypeError:
            count = None
    if count is None:
        raise InvalidInputError(f"{name} is a whole number; got {shown(value)}")
    if count < least:
        rule = "not negative" if least == 0 else f"at least {least}"
        raise InvalidInputError(f"{name} is {rule}; got {shown(value)}")
    if count > most:
        raise InvalidInputError(f"{name} is at most {most}; got {shown(value)}")
    return count


def number(name: str, value: Any, *, least: float, most: float) -> float:
    """A number from ``least`` to ``most``, NumPy's too, as a float; but not a boolean or NaN."""
    kinds = (int, float, np.integer, np.floating)
    if isinstance(value, kinds) and not isinstance(value, bool):
        # An int may be beyond all floats, and a bound beyond NumPy's smaller ones.
        with suppress(OverflowError):
            found = float(value)
            if least <= found <= most:
                return found
    raise InvalidInputError(f"{name} is {_range(least, most)}; got {shown(value)}")


def score_threshold(given: float | None) -> float | None:
    """A score of any metric, unless None."""
    if given is None:
        return None
    return number("score_threshold", given, least=-np.inf, most=np.inf)


def _range(least: float, most: float) -> str:
    if np.isfinite([least, most]).all():
        return f"a number from {least:g} to {most:g}"
    return "a number" if least < 0 else "a number that is not negative"


def flag(name: str, value: Any) -> bool:
    """True or False, of NumPy too; no other value that is like one of them."""
    if not isinstance(value, (bool, np.bool_)):
        raise InvalidInputError(f"{name} is True or False; got {shown(value)}")
    return bool(value)


def one_of(name: str, value: Any, choices: Sequence[str]) -> str:
    """One of some words."""
    if not isinstance(value, str) or value not in choices:
        *some, last = map(repr, choices)
        raise InvalidInputError(f"{name} is {', '.join(some)} or {last}; got {shown(value)}")
    return value


def text(name: str, value: Any, hint: str = "") -> str:
    """A string; ``hint`` says what takes anything else."""
    if not isinstance(value, str):
        raise InvalidInputError(f"{name} is a string; got {shown(value)}{hint}")
    return value


def several(name: str, given: T, *, of: str = "", alone: tuple[type, ...] = ()) -> T:
    """An iterable, async too: no string and no mapping, nor one alone of what should be in it.

    ``of`` says what should be in it, by default what it is called.
    """
    one = isinstance(given, (str, bytes, *alone)) or getattr(given, "ndim", 1) == 0
    table = _is_table(given)
    refused = one or table or isinstance(given, Mapping)
    if refused or not isinstance(given, (Iterable, AsyncIterable)):
        got = f"one string: {shown(given)}" if isinstance(given, str) else shown(given)
        fix = ". Put it into a list" if one else _ONE_COLUMN if table else ""
        raise InvalidInputError(f"{name} is an iterable of {of or name}; got {got}{fix}")
    return given


_ONE_COLUMN: Final = ". Give one of its columns, or its rows as a list"


def _is_table(given: Any) -> bool:
    """Whether it is a data frame, which iterates over the names of its columns."""
    return hasattr(given, "columns") and not isinstance(given, type)


def query_vector(values: ArrayLike, name: str = "the query vector") -> Values:
    """Finite numbers to search with."""
    vector = as_values(values, name)
    if not are_finite(vector):
        raise InvalidVectorError(f"{name} has a value that is NaN or infinite")
    return vector


# Records, and what a service knows them by

_INDEX_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")


def check_index_name(name: Any) -> str:
    """An index name is made of letters, digits, ``-`` and ``_``, at most 64 bytes.

    Returns it as a plain string.
    """
    rule = "an index name is a non-empty string"
    _check_name(name, "index name", limits.MAX_INDEX_NAME_BYTES, InvalidInputError, rule)
    if not _INDEX_NAME.fullmatch(name):
        raise InvalidInputError(
            f"an index name is made of the letters a to z, digits, '-' and '_'; got {name!r}"
        )
    return jsontext.plain(name)


def id_text(given: Any) -> str | None:
    """The text of an id, a namespace or a ``ref_doc_id`` in the form in which users have it.

    A string of any class is itself, an integer or a UUID its ``str()``; None for anything else:
    what a float, a boolean or bytes are called is anybody's guess.
    """
    if isinstance(given, str):
        return jsontext.plain(given)
    if isinstance(given, (int, np.integer)) and not isinstance(given, bool):
        # No longer one fits; Python would not even write one of thousands of digits.
        return str(int(given)) if abs(int(given)) < 10**limits.MAX_ID_BYTES else None
    return str(given) if isinstance(given, UUID) else None


def as_id(given: Any, name: str = "the id") -> str:
    """`id_text`, or an error that calls what was given ``name``."""
    text = id_text(given)
    if text is None:
        raise InvalidVectorError(
            f"{name} is {shown(given)}; an id is a non-empty string (an int or a UUID is taken as "
            "its text)"
        )
    return text


def as_ids(ids: Any, name: str = "ids") -> list[str]:
    """The ids in a collection of them, each by `as_id`; no vector need be able to have them."""
    check_id_list(ids, name)
    given = list(ids)
    if set(map(type, given)) <= {str}:
        return given
    return [as_id(one, f"{name}[{position}]") for position, one in enumerate(given)]


def as_namespace(given: Any) -> str | None:
    """The namespace in the form in which users have it, by the rule of ids; None is none."""
    text = id_text(given)
    check_namespace(given if text is None else text)
    return text


def check_id_list(ids: Any, name: str = "ids") -> None:
    """A collection of ids: one id alone would be read as a list of its letters."""
    if id_text(ids) is not None:
        got = shown(ids).rpartition(" (")[0]
        raise InvalidInputError(f"{name} is a list of ids; got {got}. Use [{got}]")
    # A model of pydantic, as a document or a node, is iterable too: over its fields.
    one = isinstance(ids, (bytes, Mapping)) or hasattr(type(ids), "model_fields")
    table = _is_table(ids)
    if one or table or getattr(ids, "ndim", 1) == 0 or not isinstance(ids, Iterable):
        fix = _ONE_COLUMN if table else ""
        raise InvalidInputError(f"{name} is a list of ids; got {shown(ids)}{fix}")


def check_id(
    vector_id: Any,
    position: int | None = None,
    *,
    most: int = limits.MAX_ID_BYTES,
    wording: Wording = DEFAULT,
) -> None:
    """An id is a non-empty string of at most 64 bytes of UTF-8, or of ``most``."""
    if type(vector_id) is str and 0 < len(vector_id) <= most and vector_id.isascii():
        return
    rule = "an id is a non-empty string"
    where = "" if position is None else f" (position {position})"
    fix = f". Use a shorter id, {wording.hash_ids}"
    _check_name(vector_id, "id", most, InvalidVectorError, rule, where, fix)


def check_namespace(namespace: Any) -> None:
    """A namespace is None, or a non-empty string of at most 64 bytes of UTF-8."""
    if namespace is not None:
        rule = "a namespace is a non-empty string or None"
        _check_name(namespace, "namespace", limits.MAX_NAMESPACE_BYTES, InvalidInputError, rule)


def _check_name(
    name: Any,
    kind: str,
    most: int,
    error: type[InvalidInputError],
    rule: str,
    where: str = "",
    fix: str = "",
) -> None:
    if not isinstance(name, str) or not name:
        raise error(f"{rule}; got {name!r}{where}")
    if len(name) <= most and name.isascii():
        return
    if jsontext.has_lone_surrogate(name):
        raise error(f"the {kind} {name!r}{where} has a lone surrogate: not valid Unicode")
    size = jsontext.utf8_size(name)
    if size > most:
        raise error(f"the {kind} {name!r}{where} takes {size} bytes; Vectorize allows {most}{fix}")


def check_ids(ids: Sequence[str]) -> None:
    """A list of ids that vectors can have."""
    check_id_list(ids)
    for position, vector_id in enumerate(ids):
        check_id(vector_id, position)


def possible_id(vector_id: Any, *, most: int = limits.MAX_ID_BYTES) -> bool:
    """Whether a vector can have this id; asking for one that cannot is not worth a request."""
    try:
        check_id(vector_id, most=most)
    except InvalidVectorError:
        return False
    return True


def check_metadata(
    vector_id: str | At, metadata: Mapping[str, Any] | None, *, rounds: bool = False
) -> int:
    """Metadata is of JSON values, at most 10,240 bytes; returns its size as compact JSON.

    Where it passes through what ``rounds`` large integers, it has none that would change.
    """
    if metadata is None:
        return 0
    at = vector_id if isinstance(vector_id, At) else At(vector_id)
    if not isinstance(metadata, Mapping):
        raise InvalidVectorError(
            f"{at}: metadata is a mapping or None; got {type(metadata).__name__}"
        )
    content = jsontext.exact(metadata)
    found = jsontext.problem(metadata) if content is None else None
    if found:
        raise InvalidVectorError(f"{at}: the metadata holds {found}")
    if rounds and (found := jsontext.rounded(metadata)):
        raise InvalidVectorError(
            f"{at}: the metadata holds {found}, which JavaScript, and so a Worker's binding, would "
            "change: it keeps integers up to 2^53. Give it as a string, or write it over REST"
        )
    flat = content is not None
    bad_key = next(filterfalse(storable_key, metadata), None) if flat else _bad_key(metadata)
    if bad_key is not None:
        raise InvalidVectorError(
            f"{at}: the metadata key {bad_key!r} cannot be stored: a key must "
            "not be empty, start with '$', contain '.' or '\"', "
            f"or be longer than {limits.MAX_METADATA_KEY_CHARS} characters"
        )
    size = len(content if content is not None else jsontext.dumps(metadata))
    if size > limits.MAX_METADATA_BYTES:
        largest = max(metadata, key=lambda key: len(jsontext.dumps(metadata[key])))
        taken = len(jsontext.dumps(metadata[largest]))
        raise OversizedError(
            f"{at}: the metadata takes {size} bytes as compact JSON; Vectorize allows "
            f"{limits.MAX_METADATA_BYTES}. The largest value is metadata{key_in_words(largest)} "
            f"with {taken}: shorten it, or keep it elsewhere; if it is a text, divide it into "
            "smaller chunks, each in a vector of its own"
        )
    return size


def check_encoded(at: At | None, metadata: dict[str, Any]) -> int | None:
    """As `check_metadata`, for what `layout.encode` made, of which only the text can be wrong.

    None if it is too large.
    """
    try:
        size = len(jsontext.dumps(metadata))
    except TypeError:
        found = next(filter(None, map(jsontext.problem, metadata.values())), "a bad value")
        raise InvalidVectorError(f"{at}: the record has {found}") from None
    return size if size <= limits.MAX_METADATA_BYTES else None


@lru_cache(maxsize=4_096)
def storable_key(key: str) -> bool:
    """Whether the service takes ``key`` as a metadata key."""
    return bool(key) and not (
        key.startswith("$") or "." in key or '"' in key or len(key) > limits.MAX_METADATA_KEY_CHARS
    )


def _bad_key(value: Any) -> str | None:
    """A key, at any depth, that cannot be stored; all keys are strings."""
    if isinstance(value, Mapping):
        for key in filterfalse(storable_key, value):
            return str(key)
        value = value.values()
    for item in value:
        if type(item) not in jsontext.SCALARS:
            bad = _bad_key(item)
            if bad is not None:
                return bad
    return None


def check_record(
    vector_id: Any,
    namespace: str | None,
    metadata: Mapping[str, Any] | None,
    position: int | None = None,
    *,
    rounds: bool = False,
) -> int:
    """Checks all of a record but its values; returns the size of its metadata as compact JSON."""
    check_id(vector_id, position)
    check_namespace(namespace)
    return check_metadata(At(vector_id, position), metadata, rounds=rounds)


def check_finite(rows: ValueRows, named: Named) -> None:
    """The values of vectors are finite, also as float32."""
    # Checking all of them together first takes a tenth of the time.
    if len(rows) and not are_finite(_together(rows)):
        bad = next(i for i, values in enumerate(rows) if not are_finite(values))
        raise InvalidVectorError(
            f"{named(bad)} has a value that is not a finite float32 number (NaN or "
            "infinite); check the embedding model's answer for this record"
        )


def check_dimensions(name: object, expected: int, got: int, *, index: str) -> None:
    """A vector has as many dimensions as its index; the error calls it ``name``."""
    if expected != got:
        raise InvalidVectorError(
            f"{name} has {got} dimensions, the index {index!r} has {expected}. Use the embedding "
            "model the index was made for, or create an index for this one"
        )


def check_values(rows: ValueRows, dimensions: int, *, index: str, named: Named) -> None:
    """The values of vectors are finite, and as many as the index has dimensions."""
    check_finite(rows, named)
    for i, values in enumerate(rows):
        if len(values) != dimensions:
            check_dimensions(named(i), dimensions, len(values), index=index)


def _together(rows: ValueRows) -> Values:
    return rows if isinstance(rows, np.ndarray) else np.concatenate(rows)
