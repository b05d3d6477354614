"""The commands that look: ``indexes``, ``info``, ``query``, ``list``, ``get``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from vectorize_core import jsontext, limits
from vectorize_core.cli import api_json, output
from vectorize_core.cli.target import Target, with_target
from vectorize_core.index import Index
from vectorize_core.models import Match, Values, Vector, as_values
from vectorize_core.reads.raw import QueryOptions

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, under the names of the API.")]
IndexName = Annotated[str, typer.Argument(metavar="NAME", help="The index.", show_default=False)]

_IDS_AT_ONCE = 100
_NAMED_IDS = 5


class WhichMetadata(StrEnum):
    """What of the metadata comes with a match."""

    NONE = "none"
    INDEXED = "indexed"
    ALL = "all"


@with_target
def indexes(target: Target, as_json: AsJson = False) -> None:
    """List the indexes."""
    with target.client() as client:
        listed = client.list_indexes()
    if as_json:
        output.print_json_array(map(api_json.index, listed))
        return
    if not listed and output.on_terminal():
        output.note(f"no index in {target.place}")
        return
    output.print_table(
        ("name", "dimensions", "metric", "created", "description"),
        [
            (d.name, d.config.dimensions, d.config.metric, _minute(d.created_on), d.description)
            for d in listed
        ],
    )


@with_target
def info(target: Target, name: IndexName, as_json: AsJson = False) -> None:
    """Show an index: its configuration, how many vectors it has, what filters can use."""
    with target.client() as client:
        index = client.index(name)
        details, state, filterable = index.details(), index.info(), index.list_metadata_indexes()
    if as_json:
        found = {**api_json.index(details), **api_json.info(state)}
        output.print_json({**found, "metadataIndexes": api_json.metadata_indexes(filterable)})
        return
    output.print_fields(
        [
            ("name", details.name),
            ("description", details.description),
            ("dimensions", details.config.dimensions),
            ("metric", details.config.metric),
            ("created", _minute(details.created_on)),
            ("vectors", state.vector_count),
            ("processed up to", _minute(state.processed_up_to_datetime)),
            ("last mutation", state.processed_up_to_mutation),
            ("filterable", ", ".join(f"{m.property_name} ({m.index_type})" for m in filterable)),
        ]
    )


@with_target
def query(
    target: Target,
    name: IndexName,
    vector: Annotated[
        str | None, typer.Option(metavar="JSON", help="The vector, as a JSON array.")
    ] = None,
    vector_id: Annotated[
        str | None, typer.Option(metavar="ID", help="The id of a stored vector to search with.")
    ] = None,
    vector_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="A file with the vector; - for stdin.")
    ] = None,
    top_k: Annotated[
        int, typer.Option(min=1, max=limits.MAX_TOP_K, help="How many matches.")
    ] = limits.DEFAULT_TOP_K,
    filter_text: Annotated[
        str | None,
        typer.Option("--filter", metavar="JSON", help='Such as {"year": {"$gte": 1960}}.'),
    ] = None,
    namespace: Annotated[
        str | None, typer.Option(help="Search this namespace only; else all.")
    ] = None,
    metadata: Annotated[
        WhichMetadata, typer.Option(help="What of the metadata comes along.")
    ] = WhichMetadata.NONE,
    with_values: Annotated[
        bool, typer.Option("--values", help="Show the vectors' values too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find the vectors nearest to a vector, best first."""
    sought = _sought(vector, vector_id, vector_file)
    wanted = None if filter_text is None else _filter(filter_text)
    with target.client() as client:
        index = client.index(name)
        options: QueryOptions = {
            "return_values": with_values,
            "return_metadata": metadata.value,
            "vectorize_filter": wanted,
            "namespace": namespace,
        }
        if isinstance(sought, str):
            matches = index.query_by_id(sought, top_k, **options)
        else:
            matches = index.query(sought, top_k, **options)
        if wanted and not matches:
            _explain_nothing(index, wanted)
    if as_json:
        output.print_json_array(map(api_json.match, matches))
        return
    _print_matches(matches, metadata is not WhichMetadata.NONE, with_values)


@with_target
def list_ids(
    target: Target,
    name: IndexName,
    limit: Annotated[int | None, typer.Option(min=0, help="How many; else all.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the ids of an index, while they come in."""
    page_size = limits.MAX_LIST_COUNT if limit is None else min(limit, limits.MAX_LIST_COUNT)
    with target.client() as client:
        ids = islice(client.index(name).list_ids(page_size=max(page_size, 1)), limit)
        if as_json:
            output.print_json_array(ids)
        else:
            output.print_lines(ids)


@with_target
def get(
    target: Target,
    name: IndexName,
    ids: Annotated[
        list[str], typer.Argument(metavar="ID...", help="The ids; - for stdin, one a line.")
    ],
    as_json: AsJson = False,
) -> None:
    """Show vectors by id, with values and metadata. The exit code is 1 if one is not there."""
    missing: list[str] = []
    with target.client() as client:
        found = _found(client.index(name), ids_given(ids), missing)
        if as_json:
            output.print_json_array(map(api_json.vector, found))
        elif output.on_terminal():
            for vector in found:
                output.print_fields([*_row(vector).items(), ("", "")])
        else:
            output.print_lines_of(tuple(_row(vector).values()) for vector in found)
    if missing:
        more = len(missing) - _NAMED_IDS
        named = ", ".join(missing[:_NAMED_IDS]) + (f" and {more} more" if more > 0 else "")
        output.note(f"not in the index: {named}")
        raise typer.Exit(1)


def ids_given(arguments: list[str]) -> Iterable[str]:
    """The ids of a command line; a single ``-`` stands for the lines of stdin."""
    if arguments != ["-"]:
        return arguments
    return (line for line in map(str.strip, sys.stdin) if line)


def _found(index: Index, ids: Iterable[str], missing: list[str]) -> Iterator[Vector]:
    for chunk in output.chunks(ids, _IDS_AT_ONCE):
        found = index.get(chunk)
        present = {vector.id for vector in found}
        missing += [i for i in dict.fromkeys(chunk) if i not in present]
        yield from found


def _row(vector: Vector) -> dict[str, Any]:
    return {
        "id": vector.id,
        "namespace": vector.namespace,
        "metadata": vector.metadata,
        "values": vector.values,
    }


def _print_matches(matches: list[Match], with_metadata: bool, with_values: bool) -> None:
    columns = ["score", "id", "namespace"]
    rows: list[list[Any]] = [[m.score, m.id, m.namespace] for m in matches]
    if with_metadata:
        columns.append("metadata")
        rows = [[*row, m.metadata] for row, m in zip(rows, matches, strict=True)]
    if with_values:
        columns.append("values")
        rows = [[*row, m.values] for row, m in zip(rows, matches, strict=True)]
    output.print_table(columns, rows)


def _sought(vector: str | None, vector_id: str | None, file: str | None) -> Values | str:
    if sum(given is not None for given in (vector, vector_id, file)) != 1:
        raise typer.BadParameter("give one of --vector, --vector-id and --vector-file")
    if vector_id is not None:
        return vector_id
    if vector is not None:
        return _values(vector, "--vector")
    assert file is not None
    option = f"--vector-file {file}"
    if file == "-":
        return _values(sys.stdin.buffer.read(), option)
    try:
        return _values(Path(file).read_bytes(), option)
    except OSError as error:
        raise typer.BadParameter(f"{option}: {error.strerror}") from None


def _values(text: str | bytes, option: str) -> Values:
    try:
        numbers = jsontext.loads(text)
        if not isinstance(numbers, list) or not all(type(n) in (int, float) for n in numbers):
            raise ValueError("not an array of numbers")
        return as_values(numbers)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(
            f"{option} must be a JSON array of numbers such as [0.1, 0.2]: {error}"
        ) from None


def _filter(text: str) -> Mapping[str, Any]:
    try:
        wanted = jsontext.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"--filter is not JSON: {error}") from None
    if not isinstance(wanted, dict):
        raise typer.BadParameter('--filter must be a JSON object such as {"year": 1999}')
    return wanted


def _explain_nothing(index: Index, wanted: Mapping[str, Any]) -> None:
    """The service answers such a filter with nothing, and says nothing."""
    filterable = {m.property_name for m in index.list_metadata_indexes()}
    for name in sorted(set(wanted) - filterable):
        output.note(
            f"{name!r} has no metadata index, so a filter on it finds nothing. Create one, then "
            "write the vectors again"
        )


def _minute(moment: Any) -> str | None:
    return None if moment is None else moment.isoformat(sep=" ", timespec="minutes")
