"""The command that writes: ``delete``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from vectorize_core.cli import output
from vectorize_core.cli.target import Target, with_target
from vectorize_core.cli.vectors import AsJson, IndexName, ids_given
from vectorize_core.models import Mutation

_IDS_AT_ONCE = 1_000


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
    """Delete vectors by id, or all of them. Ids that are not there are no error."""
    if everything == bool(ids):
        raise typer.BadParameter("give the ids to delete, or --all")
    count = 0
    receipts: list[Mutation] = []
    with target.client() as client:
        index = client.index(name)
        going: Iterable[str] = ids_given(ids) if ids else index.list_ids()
        if everything and not yes:
            how_many = index.info().vector_count
            question = f"Delete all {how_many} vectors of {name!r} in {target.place}?"
            # On stderr, for stdout may be JSON. Without a terminal the answer is no.
            typer.confirm(question, abort=True, err=True)
        for chunk in output.chunks(going, _IDS_AT_ONCE):
            receipts += index.delete(chunk)
            count += len(chunk)
        if wait is not None:
            index.wait(wait_timeout=wait)
    if as_json:
        output.print_json({"count": count, "mutationIds": [r.mutation_id for r in receipts]})
    else:
        typer.echo(f"{count} ids deleted from {name}" if count else "nothing to delete")
