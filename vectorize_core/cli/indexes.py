"""The commands ``indexes`` and ``info``."""

from __future__ import annotations

from datetime import datetime

from vectorize_core.cli import api_json, output
from vectorize_core.cli.output import AsJson
from vectorize_core.cli.target import IndexName, Target, with_target


@with_target
def indexes(target: Target, as_json: AsJson = False) -> None:
    """List the indexes."""
    with target.client() as client:
        listed = client.list_indexes()
    if as_json:
        output.print_json_array(map(api_json.index, listed))
        return
    if not listed and output.on_terminal():
        output.note(f"no index in {target.description}")
        return
    output.print_table(
        ("name", "dimensions", "metric", "created", "description"),
        [
            (
                d.name,
                d.config.dimensions,
                d.config.metric,
                _to_the_minute(d.created_on),
                d.description,
            )
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
            ("created", _to_the_minute(details.created_on)),
            ("vectors", state.vector_count),
            ("processed up to", _to_the_minute(state.processed_up_to_datetime)),
            ("last mutation", state.processed_up_to_mutation),
            ("filterable", ", ".join(f"{m.property_name} ({m.index_type})" for m in filterable)),
        ]
    )


def _to_the_minute(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(sep=" ", timespec="minutes")
