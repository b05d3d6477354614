"""The command ``export``."""

from __future__ import annotations

from typing import Annotated

import typer

from vectorize_core.cli import moves
from vectorize_core.cli.moves import D1, Filter, Namespace, NoTexts, Scan, Verify, filter_of
from vectorize_core.cli.output import AsJson
from vectorize_core.cli.target import IndexName, Target, with_target
from vectorize_core.moving import export_records
from vectorize_core.transport.retry import RetryPolicy


@with_target
def export(
    target: Target,
    name: IndexName,
    out: Annotated[
        str,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Its ending is .ndjson or .jsonl, perhaps with .gz or .zst, or .parquet.",
        ),
    ],
    filter_text: Filter = None,
    namespace: Namespace = None,
    scan: Scan = False,
    d1: D1 = None,
    no_texts: NoTexts = False,
    verify: Verify = False,
    as_json: AsJson = False,
) -> None:
    """Write the records of an index to a file; again, to continue after an interruption."""
    with target.client(RetryPolicy()) as client, moves.progress() as shown:
        moved = export_records(
            client.index(name),
            out,
            filter=filter_of(filter_text),
            namespace=namespace,
            unindexed="scan" if scan else None,
            texts=moves.texts(d1, no_texts=no_texts),
            verify=verify,
            on_progress=shown,
        )
    moves.report(moved, f"exported to {out}", as_json=as_json)
