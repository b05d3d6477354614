"""Records as tables of Parquet: an id, a namespace, float32 values, and the metadata as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np

from vectorize_core import jsontext
from vectorize_core.errors import ConfigurationError, InvalidInputError, VectorizeError, shown
from vectorize_core.models import Vector

_ROWS_AT_ONCE: Final = 1_000
_ROWS_IN_GROUP: Final = 20_000
_BYTES_IN_GROUP: Final = 1 << 26
_TEXTS_AT_ONCE: Final = 50
"""Of those that do not fit into their vectors."""


def write_vectors(path: Path, vectors: Sequence[Vector]) -> None:
    """A file of these vectors."""
    pa, pq = pyarrow()
    ends = np.cumsum([0, *(len(vector.values) for vector in vectors)])
    values = np.concatenate([np.empty(0, np.float32), *(vector.values for vector in vectors)])
    table = {
        "id": pa.array([v.id for v in vectors], pa.string()),
        "namespace": pa.array([v.namespace for v in vectors], pa.string()),
        "values": pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(values)),
        "metadata": pa.array(
            [None if v.metadata is None else jsontext.dumps(v.metadata).decode() for v in vectors],
            pa.string(),
        ),
    }
    pq.write_table(pa.table(table), path)


def write_texts(path: Path, texts: Sequence[tuple[str, str]]) -> None:
    """A file of the texts of records, by their ids."""
    pa, pq = pyarrow()
    columns = {
        "id": pa.array([record_id for record_id, _ in texts], pa.string()),
        "text": pa.array([text for _, text in texts], pa.string()),
    }
    pq.write_table(pa.table(columns), path)


def join(parts: Sequence[Path], path: Path) -> None:
    """Make one file of several."""
    pa, pq = pyarrow()
    schema = pq.read_schema(parts[0])
    with pq.ParquetWriter(path, schema) as writer:
        held: list[Any] = []
        for part in parts:
            held.append(pq.read_table(part, schema=schema))
            if (
                sum(table.num_rows for table in held) >= _ROWS_IN_GROUP
                or sum(table.nbytes for table in held) >= _BYTES_IN_GROUP
            ):
                writer.write_table(pa.concat_tables(held).combine_chunks())
                held = []
        if held:
            writer.write_table(pa.concat_tables(held).combine_chunks())


def read_vectors(path: Path) -> Iterator[Vector]:
    """The vectors of a file. `InvalidInputError` names the row that is none."""
    for number, row in rows(path, ("id", "values"), ("namespace", "metadata")):
        try:
            yield _vector(row)
        except VectorizeError as error:
            raise InvalidInputError(f"row {number}: {error}") from None


def read_texts(path: Path) -> Iterator[tuple[str, str]]:
    """The texts of a file, each with the id of its record."""
    for number, row in rows(path, ("id", "text"), at_once=_TEXTS_AT_ONCE):
        if not isinstance(row["id"], str) or not isinstance(row["text"], str):
            raise InvalidInputError(f"row {number}: id and text are strings")
        yield row["id"], row["text"]


def rows(
    path: Path,
    needed: Sequence[str],
    possible: Sequence[str] = (),
    *,
    at_once: int = _ROWS_AT_ONCE,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """These columns of the rows of a file, each row with its number, from 1 on."""
    pa, pq = pyarrow()
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            there = file.schema_arrow.names
            missing = [name for name in needed if name not in there]
            if missing:
                raise InvalidInputError(
                    f"it has no column {missing[0]!r}, but {shown(there)}. The columns are id and "
                    "values, and where there are any namespace and metadata"
                )
            wanted = [name for name in (*needed, *possible) if name in there]
            for batch in file.iter_batches(at_once, columns=wanted):
                columns = [_column(batch.column(name)) for name in wanted]
                for row in zip(*columns, strict=True):
                    number += 1
                    yield number, dict(zip(wanted, row, strict=True))
    except (pa.ArrowException, EOFError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"it is damaged, or no Parquet ({error})") from None


def _column(column: Any) -> Sequence[Any]:
    """What a column of a batch holds; lists of numbers as arrays."""
    pa, _ = pyarrow()
    kind = column.type
    if (
        (pa.types.is_list(kind) or pa.types.is_large_list(kind))
        and pa.types.is_floating(kind.value_type)
        and not column.null_count
    ):
        flat = column.flatten()
        if not flat.null_count:
            # A value too large for float32 becomes infinite, which is refused where it is written.
            with np.errstate(over="ignore"):
                values = flat.to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
            ends = np.cumsum(column.value_lengths().to_numpy())
            return np.split(values, ends[:-1])
    return column.to_pylist()  # type: ignore[no-any-return]


def _vector(row: dict[str, Any]) -> Vector:
    vector_id, values, metadata = row["id"], row["values"], row.get("metadata")
    if not isinstance(vector_id, str):
        raise InvalidInputError(f"id is a string; got {shown(vector_id)}")
    if isinstance(metadata, str):
        try:
            metadata = jsontext.loads(metadata)
        except ValueError:
            raise InvalidInputError(f"metadata of {vector_id!r} is no JSON") from None
    if metadata is not None and not isinstance(metadata, dict):
        raise InvalidInputError(f"metadata of {vector_id!r} is an object; got {shown(metadata)}")
    return Vector(vector_id, values, row.get("namespace"), metadata)


def pyarrow() -> tuple[Any, Any]:
    """Its two modules. `ConfigurationError` without the extra."""
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise ConfigurationError(
            "a file that ends in .parquet needs pyarrow: pip install 'vectorize-stores[parquet]'"
        ) from error
