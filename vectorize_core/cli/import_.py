"""The commands ``import`` and ``verify``."""

from __future__ import annotations

from typing import Annotated

import typer

from vectorize_core.cli import moves
from vectorize_core.cli.foreign import (
    Collection,
    From,
    MetricName,
    Query,
    TextKey,
    VectorName,
    source,
)
from vectorize_core.cli.moves import D1, Create, MetadataIndexes, NoTexts, Resume, Verify
from vectorize_core.cli.output import AsJson
from vectorize_core.cli.target import IndexName, Target, with_target
from vectorize_core.moving import import_records, verify_records
from vectorize_core.transport.retry import RetryPolicy

File = Annotated[
    str, typer.Argument(metavar="FILE", help="The file, or the folder.", show_default=False)
]
Into = Annotated[
    str | None, typer.Option("--namespace", help="All into this namespace; else each into its own.")
]


@with_target
def import_(
    target: Target,
    file: File,
    name: IndexName,
    of: From = None,
    collection: Collection = None,
    query: Query = None,
    vector: VectorName = None,
    text_key: TextKey = None,
    metric: MetricName = None,
    namespace: Into = None,
    create: Create = False,
    metadata_index: MetadataIndexes = None,
    d1: D1 = None,
    no_texts: NoTexts = False,
    resume: Resume = None,
    verify: Verify = False,
    as_json: AsJson = False,
) -> None:
    """Write the records of a file to an index; again, to continue after an interruption."""
    records = source(file, of, collection, query, vector, text_key, metric)
    with target.client(RetryPolicy(), create=create) as client, moves.progress() as shown:
        moved = import_records(
            records,
            client.index(name),
            namespace=namespace,
            create_index=create,
            metadata_indexes=moves.metadata_indexes(metadata_index),
            texts=moves.texts(d1, no_texts=no_texts),
            resume=resume,
            verify=verify,
            on_progress=shown,
        )
    moves.report(moved, f"imported into {name}", as_json=as_json)


@with_target
def verify(
    target: Target,
    file: File,
    name: IndexName,
    of: From = None,
    collection: Collection = None,
    query: Query = None,
    vector: VectorName = None,
    text_key: TextKey = None,
    metric: MetricName = None,
    namespace: Into = None,
    d1: D1 = None,
    no_texts: NoTexts = False,
    as_json: AsJson = False,
) -> None:
    """Compare the records of a file with those of an index. The exit code is 1 if any differ."""
    records = source(file, of, collection, query, vector, text_key, metric)
    with target.client(RetryPolicy()) as client:
        texts = moves.texts(d1, no_texts=no_texts)
        moved = verify_records(records, client.index(name), namespace=namespace, texts=texts)
    moves.report(moved, f"are in {name} as they are in {file}", as_json=as_json)
