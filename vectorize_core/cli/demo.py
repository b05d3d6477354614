"""The command ``demo``: a first look that needs no account."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

import vectorize_core
from vectorize_core.cli import output
from vectorize_core.cli.failures import readable
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


@readable
def demo(
    short: Annotated[
        bool, typer.Option("--short", help="The round trip without a model, whatever is there.")
    ] = False,
) -> None:
    """Show what it does, with no account: the repository's demo, or a short round trip."""
    tour = None if short else _repository_demo()
    if tour is not None:
        tour()
        return
    with VectorizeClient.local() as client:
        round_trip(client)


def round_trip(client: VectorizeClient) -> None:
    """Write, search, filter and delete; vectors of hashed words stand in for a model's."""
    typer.echo("An embedded Vectorize in this process: no account, no network, no model.\n")
    client.create_index(_INDEX, dimensions=_DIMENSIONS, metadata_indexes={"year": "number"})
    index = client.index(_INDEX)
    vectors = [Vector(i, embed(t), metadata={"year": y, "text": t}) for i, y, t in _TEXTS]
    index.upsert(vectors, wait="visible")
    typer.echo(f"{index.info().vector_count} vectors written. Q: {_QUESTION}")
    _show(index.query(embed(_QUESTION), top_k=3, return_metadata="all"))
    early = {"year": {"$lt": 1965}}
    typer.echo(f"The same with filter={early}:")
    _show(index.query(embed(_QUESTION), top_k=3, return_metadata="all", filter=early))
    index.delete(["moon-1961"], wait="visible")
    best = index.query(embed(_QUESTION), top_k=1)[0]
    typer.echo(f"moon-1961 deleted: {index.info().vector_count} vectors, nearest is {best.id}.\n")
    typer.echo("Serve one to any client with: vectorize-stores serve")


def embed(text: str) -> Values:
    """Each word counts in one of the dimensions, which its hash chooses."""
    values = np.zeros(_DIMENSIONS, np.float32)
    for word in re.findall(r"\w+", text.lower()):
        values[int.from_bytes(blake2b(word.encode(), digest_size=4).digest()) % _DIMENSIONS] += 1
    return values


def _show(matches: list[vectorize_core.Match]) -> None:
    rows = [(m.score, m.id, (m.metadata or {}).get("text")) for m in matches]
    output.print_table(("score", "id", "text"), rows)


def _repository_demo() -> Callable[[], None] | None:
    """``examples.demo`` of this repository, if it is there with all that it needs."""
    file = Path(vectorize_core.__file__).parent.parent / "examples" / "demo.py"
    if not file.is_file():
        return None
    found = importlib.util.find_spec("examples")
    # Any project may have a package of that name.
    if found is None or found.origin is None or Path(found.origin).parent != file.parent:
        return None
    try:
        tour: Callable[[], None] = importlib.import_module("examples.demo").main
    except ImportError as error:
        output.note(f"the demo with a real model needs the extra 'demo' ({error})")
        return None
    return tour
