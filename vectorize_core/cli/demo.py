"""The command ``demo``: what the library does, without an account."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import vectorize_core
from vectorize_core.cli import api_json, output
from vectorize_core.cli.errors import report_errors
from vectorize_core.client import VectorizeClient
from vectorize_core.models import Values, Vector

_DIMENSIONS = 256
_INDEX = "demo"
_TEXTS = (
    ("moon-1961", 1961, "I believe this nation should land a man on the Moon."),
    ("moon-1969", 1969, "The first man to walk on the Moon came home from space."),
    ("work-1933", 1933, "Our greatest primary task is to put people to work."),
    ("work-1964", 1964, "This program will give people work and schools."),
    ("peace-1953", 1953, "The land seeks peace with every nation."),
    ("health-1971", 1971, "The time has come to find a cure for cancer."),
)
_QUESTION = "Who shall land on the Moon?"
_EARLY = {"year": {"$lt": 1965}}


@report_errors
def demo(
    short: Annotated[
        bool, typer.Option("--short", help="The round trip without a model, in any case.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what the short round trip found as JSON.")
    ] = False,
) -> None:
    """Show what it does, with no account: the repository's demo, or a short round trip."""
    tour = None if short or as_json else _repository_demo()
    if tour is not None:
        tour()
        return
    with VectorizeClient.local() as client:
        found = round_trip(client)
    if as_json:
        output.print_json(found)
    else:
        _tell(found)


def round_trip(client: VectorizeClient) -> dict[str, Any]:
    """Write, search, filter and delete; vectors of hashed words stand in for a model's."""
    client.create_index(_INDEX, dimensions=_DIMENSIONS, metadata_indexes={"year": "number"})
    index = client.index(_INDEX)
    vectors = [Vector(i, embed(t), metadata={"year": y, "text": t}) for i, y, t in _TEXTS]
    index.upsert(vectors, wait="visible")
    written = index.info().vector_count
    query = partial(index.query, embed(_QUESTION), top_k=3, return_metadata="all")
    nearest, filtered = query(), query(filter=_EARLY)
    index.delete([nearest[0].id], wait="visible")
    return {
        "question": _QUESTION,
        "vectorCount": written,
        "matches": [api_json.match(match) for match in nearest],
        "filter": _EARLY,
        "filteredMatches": [api_json.match(match) for match in filtered],
        "deleted": nearest[0].id,
        "vectorCountAfterDelete": index.info().vector_count,
        "nearestAfterDelete": query()[0].id,
    }


def _tell(found: dict[str, Any]) -> None:
    typer.echo("An embedded Vectorize in this process: no account, no network, no model.\n")
    typer.echo(f"{found['vectorCount']} vectors written. Q: {found['question']}")
    _show(found["matches"])
    typer.echo(f"The same with filter={found['filter']}:")
    _show(found["filteredMatches"])
    typer.echo(
        f"{found['deleted']} deleted: {found['vectorCountAfterDelete']} vectors, nearest is "
        f"{found['nearestAfterDelete']}.\n"
    )
    typer.echo("Serve one to any client with: vectorize-stores serve")


def embed(text: str) -> Values:
    """A vector that counts words, each in a dimension that its hash selects."""
    values = np.zeros(_DIMENSIONS, np.float32)
    for word in re.findall(r"\w+", text.lower()):
        values[int.from_bytes(blake2b(word.encode(), digest_size=4).digest()) % _DIMENSIONS] += 1
    return values


def _show(matches: list[dict[str, Any]]) -> None:
    rows = [(match["score"], match["id"], match["metadata"]["text"]) for match in matches]
    output.print_table(("score", "id", "text"), rows)


def _repository_demo() -> Callable[[], None] | None:
    """``examples.demo`` of this repository, if that and its dependencies are installed."""
    file = Path(vectorize_core.__file__).parent.parent / "examples" / "demo.py"
    if not file.is_file():
        return None
    found = importlib.util.find_spec("examples")
    # Another project may have a package of that name too.
    if found is None or found.origin is None or Path(found.origin).parent != file.parent:
        return None
    try:
        tour: Callable[[], None] = importlib.import_module("examples.demo").main
    except ImportError as error:
        output.note(f"the demo with a real model needs the extra 'demo' ({error})")
        return None
    return tour
