"""The command ``open``: a page in the browser over any Vectorize."""

from __future__ import annotations

import os
import secrets
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from vectorize_core.cli.embedder import EMBEDDER, load_embedder
from vectorize_core.cli.errors import fail
from vectorize_core.cli.moves import D1, texts
from vectorize_core.cli.output import print_json
from vectorize_core.cli.serve import listening
from vectorize_core.cli.target import Target, with_target
from vectorize_core.secret import Secret

_HOST = "127.0.0.1"
_LEADS_ON = (
    '<!doctype html><meta charset="utf-8"><title>vectorize-stores</title>'
    '<meta http-equiv="refresh" content="0;url={}">'
)


@with_target
def open_page(
    target: Target,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The port to listen on; 0 for a free one.")
    ] = 0,
    embedder: Annotated[str | None, EMBEDDER] = None,
    d1: D1 = None,
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
        from vectorize_core.local.server.hosts import Hosts  # noqa: PLC0415
        from vectorize_core.page.app import page_over  # noqa: PLC0415
    except ImportError as error:
        fail(str(error), 2)
    model = load_embedder(embedder)
    token = Secret(secrets.token_urlsafe(32))
    with target.client() as client, listening(_HOST, port) as listener:
        # Here an error says what to do, and the browser would say that it found nothing.
        client.list_indexes()
        page = page_over(client, token, model, Hosts([_HOST]), texts(d1) or None)
        at = f"http://{_HOST}:{listener.getsockname()[1]}/"
        # Behind #: it is sent to no server, and written to no log.
        address = Secret(f"{at}#token={token.reveal()}")
        if as_json:
            print_json({"url": address.reveal(), "title": page.title})
        else:
            typer.echo(f"# {page.title}; Ctrl-C stops it.\n{address.reveal()}")
        with _shown(address, wanted=not no_browser):
            uvicorn_server.run(page, listener, Settings())


@contextmanager
def _shown(address: Secret[str], *, wanted: bool) -> Iterator[None]:
    """Open an address in a browser, if there is one with windows.

    By a file that only this user can read, for arguments of programs show in process lists.
    """
    has_windows = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    if not (wanted and has_windows):
        yield
        return
    with TemporaryDirectory(prefix="vectorize-", ignore_cleanup_errors=True) as folder:
        file = Path(folder, "open.html")
        file.write_text(_LEADS_ON.format(escape(address.reveal())), encoding="utf-8")
        webbrowser.open(file.as_uri())
        yield
