"""The command ``query``."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vectorize_core import jsontext, limits
from vectorize_core.cli import api_json, output
from vectorize_core.cli.moves import MaxRequests, Scan, filter_of
from vectorize_core.cli.output import AsJson
from vectorize_core.cli.target import IndexName, Target, with_target
from vectorize_core.models import Match, Values, as_values
from vectorize_core.reads.raw import QueryOptions


class WhichMetadata(StrEnum):
    """Which metadata are returned with a match."""

    NONE = "none"
    INDEXED = "indexed"
    ALL = "all"


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
        int,
        typer.Option(
            min=1, help=f"How many matches; more than {limits.MAX_TOP_K} take several requests."
        ),
    ] = limits.DEFAULT_TOP_K,
    filter_text: Annotated[
        str | None,
        typer.Option("--filter", metavar="JSON", help='Such as {"year": {"$gte": 1960}}.'),
    ] = None,
    namespace: Annotated[
        str | None, typer.Option(help="Search this namespace only; else all.")
    ] = None,
    scan: Scan = False,
    max_requests: MaxRequests = None,
    metadata: Annotated[
        WhichMetadata, typer.Option(help="What of the metadata comes along.")
    ] = WhichMetadata.NONE,
    with_values: Annotated[
        bool, typer.Option("--values", help="Show the vectors' values too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find the vectors nearest to a vector, best first."""
    vector_or_id = _query_vector(vector, vector_id, vector_file)
    options: QueryOptions = {
        "return_values": with_values,
        "return_metadata": metadata.value,
        "filter": filter_of(filter_text),
        "unindexed": "scan" if scan else "error",
        "namespace": namespace,
    }
    if max_requests is not None:
        options["max_requests"] = max_requests
    with target.client() as client:
        index = client.index(name)
        if isinstance(vector_or_id, str):
            matches = index.query_by_id(vector_or_id, top_k, **options)
        else:
            matches = index.query(vector_or_id, top_k, **options)
        if isinstance(vector_or_id, str) and not matches and not index.get([vector_or_id]):
            output.note(f"not in the index: {vector_or_id}")
    if as_json:
        output.print_json_array(map(api_json.match, matches))
        return
    _print_matches(matches, metadata is not WhichMetadata.NONE, with_values)


def _print_matches(matches: list[Match], with_metadata: bool, with_values: bool) -> None:
    shown = {"metadata": with_metadata, "values": with_values}
    columns = ["score", "id", "namespace", *(name for name in shown if shown[name])]
    output.print_table(columns, [[getattr(m, name) for name in columns] for m in matches])


def _query_vector(vector: str | None, vector_id: str | None, file: str | None) -> Values | str:
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
        return _values(Path(file).expanduser().read_bytes(), option)
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
