"""The progress of a move: a bar drawn by tqdm, or what a caller makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vectorize_core.api import validation
from vectorize_core.errors import InvalidInputError, shown
from vectorize_core.moving.options import OnProgress
from vectorize_core.writes.progress import BatchReport, progress_bar


@contextmanager
def watching(
    total: int | None, *, show_progress: bool, on_progress: OnProgress | None
) -> Iterator[Callable[[int], None]]:
    """A function that is called with how many records were moved so far."""
    if validation.flag("show_progress", show_progress):
        with progress_bar(total, None) as draw:

            def report(moved: int) -> None:
                draw(BatchReport(moved, None, 0))

            yield report
    elif on_progress is not None:
        if not callable(on_progress):
            raise InvalidInputError(f"on_progress is a function; got {shown(on_progress)}")
        yield lambda moved: on_progress(moved, total)
    else:
        yield lambda moved: None
