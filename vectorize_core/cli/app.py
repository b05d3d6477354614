"""The Typer application: all commands, and the option ``--version``."""

from __future__ import annotations

from typing import Annotated

import typer

from vectorize_core.cli.copy import copy
from vectorize_core.cli.count import count
from vectorize_core.cli.demo import demo
from vectorize_core.cli.doctor import doctor
from vectorize_core.cli.environment import distribution_version
from vectorize_core.cli.export import export
from vectorize_core.cli.import_ import import_, verify
from vectorize_core.cli.indexes import indexes, info
from vectorize_core.cli.maintenance import check, compact, stats
from vectorize_core.cli.open_page import open_page
from vectorize_core.cli.query import query
from vectorize_core.cli.serve import serve
from vectorize_core.cli.vectors import delete, get, list_ids
from vectorize_core.cli.wrangler import wrangler

app = typer.Typer(
    name="vectorize-stores",
    no_args_is_help=True,
    add_completion=False,
    # Unexpected errors show Python's own traceback, without the values of variables.
    pretty_exceptions_enable=False,
)


def _print_version(given: bool) -> None:
    if given:
        typer.echo(distribution_version("vectorize-stores") or "not installed, run from its source")
        raise typer.Exit


@app.callback()
def vectorize_stores(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Look into Cloudflare Vectorize, or into a Vectorize of your own.

    Every command works on an embedded Vectorize (--path DIR), on a server (--url URL), or on
    Cloudflare, with credentials from options or from the environment.
    """


app.command()(serve)
app.command(name="open")(open_page)
app.command()(demo)
app.command()(indexes)
app.command()(info)
app.command()(query)
app.command()(count)
app.command(name="list")(list_ids)
app.command()(get)
app.command()(delete)
app.command()(export)
app.command(name="import")(import_)
app.command()(copy)
app.command()(verify)
app.command()(doctor)
app.command()(stats)
app.command()(compact)
app.command()(check)
app.command()(wrangler)
