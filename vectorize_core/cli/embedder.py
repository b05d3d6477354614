"""The option ``--embedder``: the model that searches by text on the page use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer

from vectorize_core.errors import ConfigurationError

if TYPE_CHECKING:
    from vectorize_core.page.embedders import Embedder

EMBEDDER: Final = typer.Option(
    metavar="MODULE:ATTR",
    help="The model that searches by text use, of LangChain or LlamaIndex; demo: the demo's.",
)


def load_embedder(given: str | None) -> Embedder | None:
    """The model that the option names, if it is given."""
    if given is None:
        return None
    from vectorize_core.page import embedders  # noqa: PLC0415 (with the extra server)

    try:
        return embedders.load(given)
    except ConfigurationError as error:
        raise typer.BadParameter(f"--embedder: {error}") from None
