"""The progress of a write: what ``on_batch`` is told, and a bar drawn by tqdm."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from vectorize_core.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class BatchReport:
    """A request of a write was accepted: ``records`` in it, ``written`` so far in all."""

    written: int
    mutation_id: str | None
    records: int


OnBatch = Callable[[BatchReport], Awaitable[None] | None]


@contextmanager
def progress_bar(total: int | None, on_batch: OnBatch | None) -> Iterator[OnBatch]:
    """A function for ``on_batch=`` that moves a bar, then calls ``on_batch``."""
    try:
        from tqdm.auto import tqdm  # noqa: PLC0415 (optional: only the bar needs it)
    except ImportError as error:
        raise ConfigurationError("show_progress=True needs tqdm: pip install tqdm") from error
    with tqdm(total=total, unit=" records") as bar:

        def advance(report: BatchReport) -> Awaitable[None] | None:
            bar.update(report.written - bar.n)
            return on_batch(report) if on_batch is not None else None

        yield advance
