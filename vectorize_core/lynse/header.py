"""`Header`: what an index is, kept as the description of its collection.

A crash takes it only while some collection of the database is described, so that is done rarely.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Self, cast
from uuid import uuid4

from vectorize_core import jsontext
from vectorize_core.errors import ConfigurationError
from vectorize_core.models import (
    INDEX_TYPES,
    METRICS,
    IndexConfig,
    IndexDetails,
    IndexType,
    MetadataIndex,
    Metric,
)

_LAYOUT: Final = "vectorize-stores 1"
MODES: Final[dict[Metric, str]] = {
    "cosine": "FLAT-COS",
    "euclidean": "FLAT-L2",
    "dot-product": "FLAT-IP",
}
"""The index of each metric: the exact ones, which follow what is written."""


@dataclass(frozen=True, slots=True)
class Header:
    """The configuration of an index, and its metadata indexes, each with its column."""

    config: IndexConfig
    description: str
    created: float
    text_key: str = "text"
    """The property whose words searches find."""
    is_sparse: bool = False
    """Whether by sparse vectors."""
    columns: tuple[MetadataIndex | None, ...] = ()
    """None is a column whose metadata index was deleted."""
    rows: int | None = 0
    """Rows that there were, deleted ones too; None while they are taken away."""
    epoch: str = ""
    """Another one when rows were taken away on purpose."""

    def to_text(self) -> str:
        """As it is kept."""
        found = {
            "layout": _LAYOUT,
            "dimensions": self.config.dimensions,
            "metric": self.config.metric,
            "description": self.description,
            "created": self.created,
            "text": self.text_key,
            "sparse": self.is_sparse,
            "columns": [one and [one.property_name, one.index_type] for one in self.columns],
            "rows": self.rows,
            "epoch": self.epoch,
        }
        return jsontext.dumps(found).decode()

    @classmethod
    def of(cls, name: str, text: str) -> Self:
        """The header of a collection; `ConfigurationError` if that is no index of ours."""
        try:
            found = jsontext.loads(text)
            if found["layout"] != _LAYOUT:
                raise ConfigurationError(
                    f"the index {name!r} was made by another version of this library: its layout "
                    f"is {found['layout']!r}"
                )
            count = found["rows"]
            metric, kinds = found["metric"], {one[1] for one in found["columns"] if one}
            if metric not in METRICS or not kinds <= set(INDEX_TYPES):
                raise ValueError
            return cls(
                IndexConfig(int(found["dimensions"]), cast("Metric", metric)),
                str(found["description"]),
                float(found["created"]),
                str(found["text"]),
                bool(found["sparse"]),
                tuple([None if one is None else _index(one) for one in found["columns"]]),
                None if count is None else int(count),
                str(found["epoch"]),
            )
        except (ValueError, TypeError, LookupError):
            raise no_index(name) from None

    def details(self, name: str) -> IndexDetails:
        """The index in the form that the API returns."""
        created = datetime.fromtimestamp(self.created, UTC)
        return IndexDetails(name, self.config, self.description, created, created)

    def live(self) -> Iterator[tuple[str, MetadataIndex]]:
        """The metadata indexes in force, each with the name of its column."""
        for at, one in enumerate(self.columns):
            if one is not None:
                yield f"p{at}", one

    def in_doubt(self) -> Header:
        """While rows are taken away: how many there will be is not known."""
        return replace(self, rows=None, epoch=uuid4().hex)

    def indexed(self, index: MetadataIndex) -> Header:
        """With one metadata index more."""
        return replace(self, columns=(*self.columns, index))

    def unindexed(self, property_name: str) -> Header:
        """Without a metadata index, whose column stays."""
        columns = [
            None if one is not None and one.property_name == property_name else one
            for one in self.columns
        ]
        return replace(self, columns=tuple(columns))


def no_index(name: str) -> ConfigurationError:
    """What is raised for a collection of somebody else's."""
    return ConfigurationError(
        f"the collection {name!r} is no index: this library did not make it. It can be read with "
        "client.collection()"
    )


def _index(found: Any) -> MetadataIndex:
    name, kind = found
    return MetadataIndex(str(name), cast("IndexType", kind))
