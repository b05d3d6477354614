"""What the commands that move records have in common: options, progress, and what they report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from vectorize_core import jsontext
from vectorize_core.cli import output
from vectorize_core.models import INDEX_TYPES, IndexType
from vectorize_core.moving import Moved
from vectorize_core.texts import D1Texts

Filter = Annotated[
    str | None,
    typer.Option("--filter", metavar="JSON", help='Only these, such as {"year": {"$gte": 1960}}.'),
]
Namespace = Annotated[str | None, typer.Option(help="Only of this namespace.")]
Scan = Annotated[
    bool,
    typer.Option("--scan", help="Read everything to find what no metadata index can look up."),
]
MaxRequests = Annotated[
    int | None,
    typer.Option(
        "--max-requests",
        min=1,
        help="How many requests it may take; else as many as the library allows.",
    ),
]
D1 = Annotated[
    str | None,
    typer.Option(
        "--d1", metavar="ID", help="The D1 database of long texts; embedded, none is needed."
    ),
]
NoTexts = Annotated[bool, typer.Option("--no-texts", help="Leave out texts beside their vectors.")]
Resume = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Note there how far it is, and continue from there."),
]
Verify = Annotated[bool, typer.Option("--verify", help="Read all once more, and compare it.")]
Create = Annotated[
    bool, typer.Option("--create", help="Make the index if it is missing, and the directory.")
]
MetadataIndexes = Annotated[
    list[str] | None,
    typer.Option(
        "--metadata-index",
        metavar="NAME:TYPE",
        help="What filters are to find in an index that --create makes, such as year:number, "
        "beside what those of its source do. Again for each.",
    ),
]


def filter_of(text: str | None) -> Mapping[str, Any] | None:
    """The filter that the option ``--filter`` gives, if it is given."""
    if text is None:
        return None
    try:
        expression = jsontext.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"--filter is not JSON: {error}") from None
    if not isinstance(expression, dict):
        raise typer.BadParameter('--filter must be a JSON object such as {"year": 1999}')
    return expression


def metadata_indexes(given: Sequence[str] | None) -> dict[str, IndexType]:
    """The metadata indexes that the options ``--metadata-index`` name."""
    named: dict[str, IndexType] = {}
    for text in given or ():
        name, colon, kind = text.rpartition(":")
        if not colon or kind not in INDEX_TYPES:
            types = ", ".join(INDEX_TYPES)
            raise typer.BadParameter(
                f"--metadata-index {text!r} is not NAME:TYPE with one of {types}, such as "
                "year:number"
            )
        named[name] = kind
    return named


def texts(d1: str | None, *, no_texts: bool = False) -> D1Texts | Literal[False] | None:
    """Where long texts are, as `vectorize_core.moving` wants it; False leaves them out."""
    if no_texts:
        return False
    return None if d1 is None else D1Texts(d1)


@contextmanager
def progress() -> Iterator[Callable[[int, int | None], None] | None]:
    """What shows on a terminal how far a move is; None elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(
        *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True
    ) as shown:
        task = shown.add_task("records", total=None)
        yield lambda moved, total: shown.update(task, completed=moved, total=total)


def report(moved: Moved, done: str, *, as_json: bool) -> None:
    """Print what a move has done."""
    if as_json:
        output.print_json(asdict(moved))
        return
    beside = f", {moved.texts} of them with long texts" if moved.texts else ""
    many = "1 record" if moved.records == 1 else f"{moved.records} records"
    typer.echo(output.escaped(f"{many} {done}{beside}; digest {moved.digest}"))
