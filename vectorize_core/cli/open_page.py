"""The command ``open``: a page in the browser over any Vectorize."""

from __future__ import annotations

import secrets
import webbrowser
from typing import Annotated

import typer

from vectorize_core.cli.embedder import EMBEDDER, load_embedder
from vectorize_core.cli.errors import fail
from vectorize_core.cli.output import print_json
from vectorize_core.cli.serve import listening
from vectorize_core.cli.target import Target, with_target
from vectorize_core.secret import Secret

_HOST = "127.0.0.1"


@with_target
def open_page(
    target: Target,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The port to listen on; 0 for a free one.")
    ] = 0,
    embedder: Annotated[str | None, EMBEDDER] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address, and open nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the address as JSON.")] = False,
) -> None:
    """Show a page in the browser: indexes, records, searches and a map, until Ctrl-C.

    Only this machine can reach it, and only with the token in its address. Credentials stay here.
    """
    try:
        from vectorize_core.local.server import Settings, uvicorn_server  # noqa: PLC0415
        from vectorize_core.page import create_page  # noqa: PLC0415
    except ImportError as error:
        fail(str(error), 2)
    model = load_embedder(embedder)
    token = Secret(secrets.token_urlsafe(32))
    with target.client() as client, listening(_HOST, port) as listener:
        page = create_page(client, token=token.reveal(), embedder=model)
        at = f"http://{_HOST}:{listener.getsockname()[1]}/"
        # Behind #: it is sent to no server, and written to no log.
        address = Secret(f"{at}#token={token.reveal()}")
        if as_json:
            print_json({"url": address.reveal(), "title": page.title})
        else:
            typer.echo(f"# {page.title}; Ctrl-C stops it.\n{address.reveal()}")
        if not no_browser:
            webbrowser.open(address.reveal())
        uvicorn_server.run(page, listener, Settings())
