"""The command ``count``."""

from __future__ import annotations

import typer

from vectorize_core.cli import output
from vectorize_core.cli.moves import Filter, MaxRequests, Namespace, Scan, filter_of
from vectorize_core.cli.output import AsJson
from vectorize_core.cli.target import IndexName, Target, with_target
from vectorize_core.reads.raw import EnumerateOptions


@with_target
def count(
    target: Target,
    name: IndexName,
    filter_text: Filter = None,
    namespace: Namespace = None,
    scan: Scan = False,
    max_requests: MaxRequests = None,
    as_json: AsJson = False,
) -> None:
    """Count the vectors of an index, or those that a filter matches."""
    options: EnumerateOptions = {
        "filter": filter_of(filter_text),
        "namespace": namespace,
        "unindexed": "scan" if scan else "error",
    }
    if max_requests is not None:
        options["max_requests"] = max_requests
    with target.client() as client:
        found = client.index(name).count(**options)
    if as_json:
        output.print_json({"count": found})
    else:
        typer.echo(found)
