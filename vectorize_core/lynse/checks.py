"""Refuses what a LynseDB would misread, take silently for something else, or break down over.

Pure functions; every message names the argument or the record, and what to do about it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vectorize_core import jsontext
from vectorize_core.api import validation
from vectorize_core.errors import At, InvalidInputError, InvalidVectorError, key_in_words, shown
from vectorize_core.lynse.models import Id, SparseVector
from vectorize_core.models import as_values

MOST_HITS: Final = 10_000
"""``k``, ``n``, ``max_results`` and ``candidate_limit`` of a server as it is delivered."""
MOST_ROWS: Final = 100_000
"""Rows, ids or queries of a request."""
_MOST_ID: Final = 2**64 - 1
_MOST_INDEX: Final = 2**32 - 1
_DEEPEST: Final = 32
"""Parentheses within each other in a ``where``; 3,000 end the server."""
_SETTLED: Final = 10
"""Rows of a batch whose keys a server knows before it reads the others'."""
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
_FIELD_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
FUSIONS: Final = ("rrf", "weighted")


def text(argument: str, value: Any, hint: str = "") -> str:
    """A string that can be sent; ``hint`` says what takes anything else."""
    validation.text(argument, value, hint)
    if jsontext.has_lone_surrogate(value):
        raise InvalidInputError(
            f"{argument} has a lone surrogate: not valid Unicode; got {shown(value)}"
        )
    return jsontext.plain(value)


def number(argument: str, value: Any) -> float:
    """A number that JSON can express: neither NaN nor infinite."""
    found = validation.number(argument, value, least=-math.inf, most=math.inf)
    if math.isinf(found):
        raise InvalidInputError(f"{argument} is a finite number; got {shown(value)}")
    return found


def name(value: Any, kind: str) -> str:
    """The name of a database or collection: letters, digits, ``.``, ``_`` and ``-``.

    It is that of a directory: before 0.4, to drop "." is to drop the one around it, and Windows
    takes "a." for "a".
    """
    validation.text(f"the name of a {kind}", value)
    if not _NAME.fullmatch(value) or ".." in value or value.endswith("."):
        raise InvalidInputError(
            f"the name of a {kind} has 1 to 128 of the letters a to z, digits, '.', '_' and '-', "
            f"no '..', and no '.' at its end; got {value!r}"
        )
    return jsontext.plain(value)


def field_name(value: Any) -> str:
    """The name of a vector field: letters, digits, ``_`` and ``-``."""
    validation.text("field_name", value)
    if not _FIELD_NAME.fullmatch(value):
        raise InvalidInputError(
            f"field_name is made of the letters a to z, digits, '_' and '-'; got {value!r}"
        )
    return jsontext.plain(value)


def hits(value: Any, argument: str = "k") -> int:
    """How many results are asked for."""
    return validation.whole_number(argument, value, most=MOST_HITS)


def vectors(given: Any, argument: str = "vectors") -> NDArray[np.float32]:
    """Finite vectors of one length, as an array of float32 with a row for each."""
    validation.several(argument, given)
    if isinstance(given, np.ndarray) and given.ndim == 2 and given.dtype.kind == "f":
        with np.errstate(over="ignore"):
            found = np.ascontiguousarray(given, dtype=np.float32)
    else:
        rows = [as_values(row, At(None, at)) for at, row in enumerate(given)]
        for at, row in enumerate(rows):
            if len(row) != len(rows[0]):
                raise InvalidVectorError(
                    f"{argument}[{at}] has {len(row)} dimensions, {argument}[0] has {len(rows[0])}"
                )
        found = np.stack(rows) if rows else np.empty((0, 0), np.float32)
    _check_count(len(found), argument)
    bad = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(bad):
        raise InvalidVectorError(
            f"{argument}[{bad[0]}] has a value that is NaN, infinite, or too large for float32"
        )
    return found


def an_id(value: Any, argument: str = "id") -> Id:
    """A string that is not empty, or a whole number from 0 to 2**64 - 1."""
    if isinstance(value, str) and value and not jsontext.has_lone_surrogate(value):
        return jsontext.plain(value)
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        number = int(value)
        if 0 <= number <= _MOST_ID:
            return number
    raise InvalidInputError(
        f"{argument} is a string that is not empty, or a whole number from 0 to 2**64 - 1; got "
        f"{shown(value)}"
    )


def ids(given: Any, argument: str = "ids") -> tuple[Id, ...]:
    """A list of ids."""
    validation.check_id_list(given, argument)
    found = tuple([an_id(one, f"{argument}[{at}]") for at, one in enumerate(given)])
    _check_count(len(found), argument)
    return found


def different(ids: Sequence[Id]) -> None:
    """No id twice: of equal ones a server takes none, or which it likes."""
    if len(set(ids)) < len(ids):
        twice = next(one for one, times in Counter(ids).items() if times > 1)
        raise InvalidInputError(f"ids holds {twice!r} twice; each record has an id of its own")


def same_length(found: int, wanted: int, argument: str) -> None:
    """As many as there are ids."""
    if found != wanted:
        raise InvalidInputError(f"there are {found} {argument}, but {wanted} ids")


def fields(given: Any, argument: str = "fields") -> tuple[dict[str, Any], ...]:
    """The metadata of each record of a batch; None is none.

    A key that only a later row has is refused: a server writes its values to other rows.
    """
    rows = [_fields(one, f"{argument}[{at}]") for at, one in enumerate(given)]
    known = {key for row in rows[:_SETTLED] for key in row}
    for at, row in enumerate(rows[_SETTLED:], _SETTLED):
        if new := row.keys() - known:
            raise InvalidInputError(
                f"{argument}[{at}] is the first with the key {min(new)!r}, which LynseDB would "
                "write to another record: give the same keys to all records of a call"
            )
    return tuple(rows)


def _fields(given: Any, argument: str) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InvalidInputError(f"{argument} is a mapping or None; got {shown(given)}")
    if wrong := jsontext.problem(given):
        raise InvalidInputError(f"{argument} holds {wrong}")
    if "" in given:
        raise InvalidInputError(f"{argument} has an empty key, which LynseDB does not list")
    for taken in ("id", "_id", "external_id"):
        if taken in given:
            raise InvalidInputError(
                f"{argument}{key_in_words(taken)} would be lost: LynseDB keeps its own ids there"
            )
    return dict(given)


def sparse(given: Any, argument: str = "vector") -> SparseVector:
    """Weights that are finite, each at an index of its own."""
    if not isinstance(given, SparseVector):
        raise InvalidInputError(f"{argument} is a SparseVector; got {shown(given)}")
    place = f"{argument}.indices"
    indices = [
        validation.whole_number(f"{place}[{at}]", one, most=_MOST_INDEX)
        for at, one in enumerate(validation.several(place, given.indices))
    ]
    same = len(set(indices)) == len(indices)
    values = validation.query_vector(given.values, f"{argument}.values")
    if len(values) != len(indices) or not same:
        raise InvalidInputError(
            f"{argument} has {len(values)} values at {len(set(indices))} different indices of "
            f"{len(indices)}; each value has an index of its own"
        )
    return SparseVector(indices, values.tolist())


def sparse_vectors(given: Any) -> tuple[SparseVector, ...]:
    """A sparse vector for each record."""
    validation.several("vectors", given, of="SparseVector")
    found = tuple([sparse(one, f"vectors[{at}]") for at, one in enumerate(given)])
    _check_count(len(found), "vectors")
    return found


def where(given: Any) -> str | None:
    """A condition in SQL, or None. What it says is not looked at."""
    if given is None:
        return None
    condition = text("where", given)
    if not condition.strip():
        raise InvalidInputError("where is a condition or None; got an empty text")
    deepest = depth = 0
    for letter in condition:
        depth += (letter == "(") - (letter == ")")
        deepest = max(deepest, depth)
    if deepest > _DEEPEST:
        raise InvalidInputError(
            f"where has {deepest} parentheses within each other; more than {_DEEPEST} may end the "
            "server"
        )
    return condition


def one_restriction(condition: str | None, filter_ids: tuple[Id, ...] | None) -> None:
    """Not both, of which a server would take no notice of one."""
    if condition is not None and filter_ids is not None:
        raise InvalidInputError(
            "where and filter_ids exclude each other: LynseDB would disregard filter_ids"
        )


def index_mode(mode: Any, n_clusters: Any) -> dict[str, Any]:
    """What an index is built by: its mode, and the number of clusters, which only IVF has."""
    mode = text("index_mode", mode)
    if n_clusters is not None:
        if not mode.upper().startswith("IVF"):
            raise InvalidInputError(
                f"n_clusters goes with modes of IVF only; index_mode is {mode!r}"
            )
        n_clusters = validation.whole_number("n_clusters", n_clusters, least=1)
    return {"index_mode": mode, "n_clusters": n_clusters}


def query(vector: ArrayLike) -> NDArray[np.float32]:
    """Finite numbers to search with."""
    return validation.query_vector(vector, "vector")


def _check_count(count: int, argument: str) -> None:
    if count > MOST_ROWS:
        raise InvalidInputError(
            f"{argument} has {count:,} rows; LynseDB takes {MOST_ROWS:,} at once: divide them"
        )
