"""Printing: JSON for programs, tables for people, tab-separated lines for pipes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Annotated, Any, TypeVar

import orjson
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vectorize_core.cli.lines import as_line

T = TypeVar("T")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, under the names of the API.")]

_CONTROL = re.compile("[\x7f-\x9f\u2028\u2029]")
"""What JSON leaves as it is, and a terminal may not."""
_MAX_SHOWN_VALUES = 8
_ROWS_PER_WRITE = 1_000


def json_text(value: Any, *, indent: bool = False) -> bytes:
    """``value`` as JSON; float32 arrays in the shortest form that reads back the same."""
    option = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    return orjson.dumps(value, option=option | (orjson.OPT_INDENT_2 if indent else 0))


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    # Bytes: JSON is UTF-8 whatever the encoding of the terminal.
    typer.echo(json_text(value, indent=True))


def print_json_array(items: Iterable[Any]) -> None:
    """One JSON array on stdout, an item a line, printed while ``items`` are being read."""
    opening = b"["
    for chunk in chunks(items, _ROWS_PER_WRITE):
        typer.echo(opening + b",\n ".join(map(json_text, chunk)), nl=False)
        opening = b",\n "
    typer.echo(b"[]" if opening == b"[" else b"]")


def print_lines(lines: Iterable[str]) -> None:
    """Lines on stdout, printed while they are being read; off a terminal as `lines.as_line`."""
    print_lines_of((line,) for line in lines)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table on a terminal; elsewhere a line a row, tab-separated, without a header."""
    console = _console()
    if not console.is_terminal:
        print_lines_of(rows)
        return
    table = Table(box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row))
    console.print(table)


def print_lines_of(rows: Iterable[Sequence[Any]]) -> None:
    """A line a row, tab-separated, whether on a terminal or not."""
    terminal = on_terminal()
    column = _plain if terminal else _exact
    for chunk in chunks(rows, _ROWS_PER_WRITE):
        text = "\n".join("\t".join(map(column, row)) for row in chunk)
        # Another program is sent UTF-8, whatever the encoding of a terminal would be.
        typer.echo(text if terminal else text.encode())


def print_fields(fields: Iterable[tuple[str, Any]]) -> None:
    """Names with values, one a line; aligned on a terminal, tab-separated elsewhere."""
    console = _console()
    if not console.is_terminal:
        print_lines_of(fields)
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, value in fields:
        grid.add_row(Text(name), _cell(value))
    console.print(grid)


def note(text: str) -> None:
    """A note on stderr, where it is not part of a program's input."""
    typer.echo(f"note: {escaped(text)}", err=True)


def on_terminal() -> bool:
    """Whether stdout is a terminal."""
    return _console().is_terminal


def escaped(text: str) -> str:
    """``text`` on one line with control characters escaped, for ids and metadata may have any."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """``items`` in lists of ``size``, the last one shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _console() -> Console:
    # Not kept, because stdout may be replaced.
    return Console(highlight=False, markup=False, emoji=False)


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return escaped(value if isinstance(value, str) else json_text(value).decode())


def _exact(value: Any) -> str:
    """A value for another program, on one line and without a tab."""
    if value is None:
        return ""
    if isinstance(value, str):
        return as_line(value)
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", json_text(value).decode())


def _cell(value: Any) -> Text:
    if isinstance(value, float):
        return Text(f"{value:.6g}")
    if hasattr(value, "tolist") and len(value) > _MAX_SHOWN_VALUES:
        # --json prints them all.
        start = json_text(value[:_MAX_SHOWN_VALUES]).decode().removesuffix("]")
        return Text(f"{start}, ... {len(value)} in all]")
    return Text(_plain(value))
