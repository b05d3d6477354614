"""What a file of records holds, in a file beside: by which an import sees whether it is whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from vectorize_core import paths
from vectorize_core.errors import InvalidInputError, RecordsDifferError
from vectorize_core.models import INDEX_TYPES, METRICS, IndexType, Metric
from vectorize_core.moving.moved import Moved
from vectorize_core.records.store import RecordStore
from vectorize_core.state.index_state import get_details, get_metadata_indexes
from vectorize_core.transport.io import Io

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """How many records there are, their digest, and the configuration of the index they are of."""

    index: str
    dimensions: int
    metric: Metric
    metadata_indexes: Mapping[str, IndexType]
    records: int
    texts: int
    digest: str

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        said = {"vectorize_records": _VERSION, **asdict(self)}
        with paths.explained("the manifest", str(path)):
            path.write_bytes(orjson.dumps(said, option=orjson.OPT_INDENT_2) + b"\n")

    def check(self, found: Moved, path: Path) -> None:
        """`RecordsDifferError` if other records were ``found`` in ``path`` than were exported."""
        if (self.records, self.digest) != (found.records, found.digest):
            raise RecordsDifferError(
                f"{path} does not hold what was exported: {found.records} records with the digest "
                f"{found.digest}, where its manifest says {self.records} with {self.digest}. It "
                "was cut or changed since; if that was meant, delete the manifest"
            )


async def of_index(io: Io, store: RecordStore, moved: Moved) -> Manifest:
    """The manifest of records of an index."""
    config = (await get_details(io, store.state)).config
    indexed = await get_metadata_indexes(io, store.state)
    fixed = store.index.name, config.dimensions, config.metric
    return Manifest(*fixed, dict(indexed), *astuple(moved))


def _checked(metadata_indexes: Any, **said: Any) -> Manifest:
    found = Manifest(metadata_indexes=dict(metadata_indexes), **said)
    counts = found.records, found.texts
    right = {*map(type, counts)} == {int} and min(counts) >= 0 and found.metric in METRICS
    if not (right and {*found.metadata_indexes.values()} <= {*INDEX_TYPES}):
        raise ValueError("not as it was written")
    return found


def read(path: Path) -> Manifest | None:
    """The manifest of that path; None if there is none."""
    with paths.explained("the manifest", str(path)):
        try:
            said = orjson.loads(path.read_bytes())
            if said.pop("vectorize_records") == _VERSION:
                return _checked(**said)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
    raise InvalidInputError(
        f"{path} is no manifest that this release reads; delete it to do without"
    )
