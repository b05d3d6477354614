"""Pinecone: files of Parquet in the form in which it imports and exports them.

https://docs.pinecone.io/guides/index-data/import-data: the columns ``id``, ``values`` and
``metadata``, a text of JSON; in a folder for each namespace, ``__default__`` for the unnamed one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from vectorize_core import paths
from vectorize_core.errors import InvalidInputError, StorageError, shown
from vectorize_core.models import Metric
from vectorize_core.moving import parquet
from vectorize_core.moving.foreign.foreign import Foreign, check_metric
from vectorize_core.moving.foreign.payloads import of_payload
from vectorize_core.records.item import Item

_DEFAULT: Final = "__default__"


def read_pinecone(
    path: str | os.PathLike[str], *, text_key: str = "text", metric: Metric | None = None
) -> Foreign:
    """The records in a file of Parquet, or in all ``.parquet`` files of a folder.

    Those in a folder within it have its name as namespace. Ids are of a whole index in Vectorize,
    so one that is in two namespaces is an `InvalidInputError`; to find it, ids are in memory. The
    text of a record is under ``text_key`` in its metadata; nodes of LlamaIndex are recognised. The
    files do not say the metric, so it is checked only if it is given. Needs the extra ``parquet``.
    """
    check_metric(metric)
    place = Path(paths.absolute(path, error=InvalidInputError))
    with paths.explained("an export of Pinecone", str(place)):
        files = _files(place)
    if not place.exists():
        raise StorageError(f"there is no file or folder {place}")
    if not files:
        raise StorageError(f"there is no .parquet file in {place}")
    if len(set(files.values())) > 1:
        _check_ids(files)
    title = f"the export of Pinecone in {place}"
    return Foreign(title, partial(_records, files, text_key), metric)


def _files(place: Path) -> dict[Path, str | None]:
    """The files, each with its namespace."""
    if not place.is_dir():
        return {place: None}
    inner = {file: file.parent.name for file in sorted(place.glob("*/*.parquet"))}
    found: dict[Path, str | None] = dict.fromkeys(sorted(place.glob("*.parquet")))
    return found | {file: None if name == _DEFAULT else name for file, name in inner.items()}


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Errors that name the file."""
    try:
        with paths.explained("an export of Pinecone", str(file)):
            yield
    except InvalidInputError as error:
        raise type(error)(f"{file}: {error}") from None


def _check_ids(files: Mapping[Path, str | None]) -> None:
    """Refuse an id that is in two namespaces: the later record would overwrite the other."""
    seen: dict[str, str | None] = {}
    for file, namespace in files.items():
        with _named(file):
            for number, row in parquet.rows(file, ("id",)):
                record_id = row["id"]
                if not isinstance(record_id, str):
                    raise InvalidInputError(f"row {number}: id is a string; got {shown(record_id)}")
                if seen.setdefault(record_id, namespace) != namespace:
                    raise InvalidInputError(
                        f"the id {record_id!r} is in two namespaces, {seen[record_id]!r} too, and "
                        "in Vectorize an id is of the whole index. Import each folder into its "
                        "own view: store.with_namespace(name)"
                    )


def _records(files: Mapping[Path, str | None], text_key: str) -> Iterator[Item]:
    for file, namespace in files.items():
        with _named(file):
            for vector in parquet.read_vectors(file):
                record = of_payload(vector.id, dict(vector.metadata or {}), text_key)
                yield Item(record, vector.values, namespace=namespace)
