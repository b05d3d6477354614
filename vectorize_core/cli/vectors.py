"""The commands for vectors by id: ``list``, ``get`` and ``delete``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated, Any

import typer

from vectorize_core import limits
from vectorize_core.cli import api_json, output
from vectorize_core.cli.lines import from_lines
from vectorize_core.cli.output import AsJson
from vectorize_core.cli.target import IndexName, Target, with_target
from vectorize_core.index import Index
from vectorize_core.models import Mutation, Vector

_IDS_PER_GET = 100
_IDS_PER_DELETE = 1_000
_NAMED_IDS = 5


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
    """Show vectors by id, with values and metadata. The exit code is 1 if an id does not exist."""
    missing: list[str] = []
    with target.client() as client:
        found = _found(client.index(name), _ids_given(ids), missing)
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


@with_target
def delete(
    target: Target,
    name: IndexName,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID...]", help="The ids; - for stdin.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Delete every vector; the index stays.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="Wait at most so long until reads do not show them any more.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Delete vectors by id, or all of them. Ids that do not exist are no error."""
    if everything == bool(ids):
        raise typer.BadParameter("give the ids to delete, or --all")
    count = 0
    receipts: list[Mutation] = []
    with target.client() as client:
        index = client.index(name)
        doomed: Iterable[str] = _ids_given(ids) if ids else index.list_ids()
        if everything and not yes:
            how_many = index.info().vector_count
            question = f"Delete all {how_many} vectors of {name!r} in {target.description}?"
            # On stderr, because stdout may be JSON. Without a terminal it aborts.
            typer.confirm(question, abort=True, err=True)
        for chunk in output.chunks(doomed, _IDS_PER_DELETE):
            receipts += index.delete(chunk)
            count += len(chunk)
        if wait is not None:
            index.wait(wait_timeout=wait)
    if as_json:
        output.print_json({"count": count, "mutationIds": [r.mutation_id for r in receipts]})
        return
    many = "1 id" if count == 1 else f"{count} ids"
    # Of ids that were given, the service does not say which it had.
    done = f"{many} deleted from {name}" if everything else f"asked {name} to delete {many}"
    typer.echo(done if count else "nothing to delete")


def _ids_given(arguments: list[str]) -> Iterable[str]:
    """The ids of a command line; if it is ``-``, the lines of stdin."""
    if arguments != ["-"]:
        return arguments
    return from_lines(sys.stdin.buffer)


def _found(index: Index, ids: Iterable[str], missing: list[str]) -> Iterator[Vector]:
    for chunk in output.chunks(ids, _IDS_PER_GET):
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
