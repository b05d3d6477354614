"""A bar for long writes, drawn by tqdm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from vectorize_core.errors import ConfigurationError

T = TypeVar("T")


class Report(Protocol):
    """What a bar needs to know."""

    @property
    def written(self) -> int:
        """How many records are in, in all."""


@contextmanager
def shown(
    total: int | None, on_batch: Callable[[Any], T] | None, *, show: bool
) -> Iterator[Callable[[Any], T | None] | None]:
    """``on_batch``, and with ``show`` a bar that moves before each call of it."""
    if not show:
        yield on_batch
        return
    try:
        from tqdm.auto import tqdm  # noqa: PLC0415 (only who asks for a bar needs tqdm)
    except ImportError as error:
        raise ConfigurationError("show_progress=True needs tqdm: pip install tqdm") from error
    with tqdm(total=total, unit=" records") as bar:

        def advance(report: Report) -> T | None:
            bar.update(report.written - bar.n)
            return on_batch(report) if on_batch is not None else None

        yield advance
