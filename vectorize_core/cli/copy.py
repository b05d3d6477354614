"""The command ``copy``."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

import typer

from vectorize_core.cli import moves
from vectorize_core.cli.moves import (
    D1,
    Create,
    Filter,
    MetadataIndexes,
    Namespace,
    NoTexts,
    Resume,
    Scan,
    Verify,
    filter_of,
)
from vectorize_core.cli.output import AsJson
from vectorize_core.cli.target import IndexName, Target, with_target
from vectorize_core.moving import copy_records
from vectorize_core.secret import Secret
from vectorize_core.transport.retry import RetryPolicy

_PANEL = "Which Vectorize it goes to; else the same one"


@with_target
def copy(
    target: Target,
    name: IndexName,
    to: Annotated[str, typer.Argument(metavar="TO", help="The index that it goes to.")],
    to_path: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="An embedded Vectorize.", rich_help_panel=_PANEL),
    ] = None,
    to_url: Annotated[
        Secret[str] | None,
        typer.Option(metavar="URL", help="A server.", parser=Secret, rich_help_panel=_PANEL),
    ] = None,
    to_cloudflare: Annotated[
        bool,
        typer.Option(
            "--to-cloudflare",
            help="Cloudflare, with credentials from the environment.",
            rich_help_panel=_PANEL,
        ),
    ] = False,
    to_namespace: Annotated[
        str | None, typer.Option(help="All into this namespace; else each into its own.")
    ] = None,
    filter_text: Filter = None,
    namespace: Namespace = None,
    scan: Scan = False,
    create: Create = False,
    metadata_index: MetadataIndexes = None,
    d1: D1 = None,
    to_d1: Annotated[
        str | None, typer.Option(metavar="ID", help="The D1 database that long texts go to.")
    ] = None,
    no_texts: NoTexts = False,
    resume: Resume = None,
    verify: Verify = False,
    as_json: AsJson = False,
) -> None:
    """Copy the records of an index into another one, here or elsewhere."""
    places = [to_path is not None, to_url is not None, to_cloudflare]
    if sum(places) > 1:
        raise typer.BadParameter("give one of --to-path, --to-url and --to-cloudflare")
    if not any(places) and name == to:
        raise typer.BadParameter("an index is not copied into itself")
    other = Target(path=to_path, url=to_url)
    with ExitStack() as stack:
        client = stack.enter_context(target.client(RetryPolicy()))
        there = client
        if any(places):
            there = stack.enter_context(other.client(RetryPolicy(), create=create))
        moved = copy_records(
            client.index(name),
            there.index(to),
            filter=filter_of(filter_text),
            namespace=namespace,
            unindexed="scan" if scan else None,
            to_namespace=to_namespace,
            create_index=create,
            metadata_indexes=moves.metadata_indexes(metadata_index),
            texts=moves.texts(d1, no_texts=no_texts),
            to_texts=moves.texts(to_d1) or None,
            resume=resume,
            verify=verify,
            on_progress=stack.enter_context(moves.progress()),
        )
    moves.report(moved, f"copied into {to}", as_json=as_json)
