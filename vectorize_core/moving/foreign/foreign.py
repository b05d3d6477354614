"""`Foreign`: the records that another store has left, and what its files say of all of them."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from vectorize_core import paths
from vectorize_core.api import validation
from vectorize_core.errors import InvalidInputError, StorageError
from vectorize_core.models import METRICS, Metric
from vectorize_core.records.item import Item


@dataclass(frozen=True, slots=True)
class Foreign(Iterable[Item]):
    """Records of another store, with their embeddings; read anew each time they are iterated over.

    ``name`` is what errors call them. ``metric``, ``dimensions`` and ``count`` are None where the
    files do not say.
    """

    name: str
    read: Callable[[], Iterator[Item]] = field(repr=False)
    metric: Metric | None = None
    dimensions: int | None = None
    count: int | None = None

    def __iter__(self) -> Iterator[Item]:
        return self.read()

    def check(self, index: str, dimensions: int | None, metric: Metric | None) -> None:
        """`InvalidInputError` unless an index is made for such vectors; None is not known yet."""
        if None not in (dimensions, self.dimensions) and self.dimensions != dimensions:
            raise InvalidInputError(
                f"{self.name} has vectors of {self.dimensions} dimensions, the index {index!r} "
                f"{dimensions}. Import them into an index of {self.dimensions}"
            )
        if None not in (metric, self.metric) and self.metric != metric:
            raise InvalidInputError(
                f"{self.name} compares by {self.metric}, the index {index!r} by {metric}: searches "
                f"would rank otherwise. Import it into an index with {self.metric}, or read it "
                f"with metric={metric!r} if that is meant"
            )


def check_metric(metric: Metric | None) -> None:
    """Refuse what is no metric of Vectorize."""
    if metric is not None:
        validation.one_of("metric", metric, METRICS)


def metric_of(
    found: object, known: dict[object, Metric], given: Metric | None, name: str
) -> Metric | None:
    """The metric that was ``given``, else Vectorize's for the one that was ``found``."""
    check_metric(given)
    if given is not None:
        return given
    if not isinstance(found, (str, int)) or found not in known:
        raise InvalidInputError(
            f"{name} compares by {found!r}, which Vectorize cannot. Give the metric= to compare "
            "by instead"
        )
    return known[found]


def folder(path: str | os.PathLike[str], *files: str) -> str:
    """The absolute path of a folder that has all of these ``files`` in it."""
    place = paths.absolute(path, error=InvalidInputError)
    for name in files:
        if not os.path.isfile(os.path.join(place, name)):
            raise StorageError(f"there is no {name} in {place}. Give the folder that has one")
    return place


def pick(kind: str, found: Iterable[str], asked: str | None, where: str, argument: str) -> str:
    """The one of what was ``found`` that is ``asked`` for, or the only one."""
    names = sorted(found)
    has = ", ".join(map(repr, names[:20])) or "none"
    if asked is None and len(names) > 1:
        raise InvalidInputError(f"{where} has several: {has}. Name one with {argument}=")
    name = names[0] if asked is None and names else asked
    if name is None or name not in names:
        wanted = "" if name is None else f" {name!r}"
        raise InvalidInputError(f"{where} has no {kind}{wanted}; it has {has}")
    return name
