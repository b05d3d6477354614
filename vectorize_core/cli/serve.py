"""The command ``serve``: a local Vectorize for clients in any language."""

from __future__ import annotations

import errno
import os
import shlex
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from vectorize_core import paths
from vectorize_core.behavior import Behavior
from vectorize_core.cli.embedder import EMBEDDER, load_embedder
from vectorize_core.cli.errors import fail, report_errors
from vectorize_core.cli.output import on_terminal, print_json
from vectorize_core.cli.serve_switches import parse
from vectorize_core.client import VectorizeClient
from vectorize_core.errors import InvalidInputError
from vectorize_core.secret import Secret, is_sendable

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from vectorize_core.local.server import Settings

TOKEN_VARIABLE = "VECTORIZE_SERVER_TOKEN"  # noqa: S105 (a name, not a token)
_POWERSHELL = os.name == "nt"
_EXPORT = "$env:{name} = {value}" if _POWERSHELL else "export {name}={value}"
_VALUE_OF_TOKEN_VARIABLE = f"$env:{TOKEN_VARIABLE}" if _POWERSHELL else f'"${TOKEN_VARIABLE}"'


@report_errors
def serve(
    data: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Keep the data here; else in memory."),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The port to listen on; 0 for a free one.")
    ] = 8989,
    token: Annotated[
        Secret[str] | None,
        typer.Option(
            metavar="T",
            envvar=TOKEN_VARIABLE,
            help="Requests have to carry this.",
            parser=Secret,
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A further name by which clients reach it; can be repeated.",
        ),
    ] = None,
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Take NDJSON however clients send it.")
    ] = False,
    rate_limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Requests in five minutes.")
    ] = None,
    faults: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", exists=True, dir_okay=False, help="Faults on demand, a JSON list."
        ),
    ] = None,
    process_delay: Annotated[
        float, typer.Option(min=0.0, metavar="S", help="Until a write is processed.")
    ] = 0.0,
    propagate_delay: Annotated[
        float, typer.Option(min=0.0, metavar="S", help="From then until reads show it.")
    ] = 0.0,
    metadata_index_delay: Annotated[
        float, typer.Option(min=0.0, metavar="S", help="Until a metadata index is live.")
    ] = 0.0,
    binding_index: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The index of Workers bindings that name none."),
    ] = None,
    binding: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BINDING=NAME",
            help="The index of a Workers binding that Miniflare names; can be repeated.",
        ),
    ] = None,
    switch: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="How it acts where Cloudflare is not known; see docs/local-server.md.",
        ),
    ] = None,
    embedder: Annotated[str | None, EMBEDDER] = None,
    no_page: Annotated[
        bool, typer.Option("--no-page", help="Serve the API alone, without the page at /.")
    ] = False,
    open_to_network: Annotated[
        bool,
        typer.Option("--open-to-network", help="Allow other machines to connect without a token."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the address and the variables as JSON.")
    ] = False,
) -> None:
    """Serve a local Vectorize until Ctrl-C, and print the exports that point clients at it.

    Paste what is printed into another shell.
    """
    _check_token(token)
    try:
        from vectorize_core.local.server import Settings, uvicorn_server  # noqa: PLC0415
        from vectorize_core.local.server.app import create_parts  # noqa: PLC0415
        from vectorize_core.page.served import page_beside  # noqa: PLC0415
    except ImportError as error:
        fail(str(error), 2)
    if token is None and not open_to_network and uvicorn_server.is_open_to_network(host):
        raise typer.BadParameter(
            f"other machines can reach --host {host}: give --token, or --open-to-network"
        )
    if data is not None:
        _check_data(data)
    of_behavior, of_settings = parse(switch or (), Settings)
    delays = {
        "process_delay": process_delay,
        "propagate_delay": propagate_delay,
        "metadata_index_delay": metadata_index_delay,
    }
    try:
        settings = Settings(
            data=":memory:" if data is None else data,
            behavior=Behavior(**{**delays, **of_behavior}),
            token=cast("str | None", token),
            hosts=[host, *(allow_host or ())],
            lenient=lenient,
            rate_limit=rate_limit,
            faults=[] if faults is None else _rules(faults),
            binding_index=binding_index,
            bindings=_bindings(binding or ()),
            **of_settings,
        )
        parts = create_parts(settings)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    app: ASGIApp = parts.app
    if not no_page:
        app = page_beside(parts, settings, load_embedder(embedder))
    with listening(host, port) as listener:
        announce = _announce_json if as_json else _announce
        address = uvicorn_server.base_url(host, listener.getsockname()[1])
        announce(address, settings, has_page=not no_page)
        uvicorn_server.run(app, listener, settings)


def _announce(base_url: str, settings: Settings, *, has_page: bool = False) -> None:
    from vectorize_core.local.server import environment  # noqa: PLC0415

    kept = "in memory" if settings.data == ":memory:" else f"in {settings.data}"
    lines = [f"# Vectorize at {base_url}, data {kept}; Ctrl-C stops it."]
    if has_page:
        lines.append(f"# A page to look at: {_page_of(base_url)}")
    variables = environment(base_url, settings.token)
    values = {name: _quoted(value) for name, value in variables.items()}
    if settings.token is not None and not on_terminal():
        # Such output may be kept in a log.
        values["CLOUDFLARE_API_TOKEN"] = _VALUE_OF_TOKEN_VARIABLE
        lines.append(f"# {TOKEN_VARIABLE} has to hold the token, which is shown on terminals only.")
    lines.append("# These point vectorize-stores, Cloudflare's SDKs and wrangler at it:")
    lines += [_EXPORT.format(name=name, value=value) for name, value in values.items()]
    typer.echo("\n".join(lines))


def _announce_json(base_url: str, settings: Settings, *, has_page: bool = False) -> None:
    from vectorize_core.local.server import environment  # noqa: PLC0415

    # Without the token: a program's log may keep the output.
    variables = environment(base_url, None)
    if settings.token is not None:
        del variables["CLOUDFLARE_API_TOKEN"]
    page = {"page": _page_of(base_url)} if has_page else {}
    print_json({"baseUrl": base_url, **page, "environment": variables})


def _page_of(base_url: str) -> str:
    return base_url.removesuffix("client/v4")


def _quoted(value: str) -> str:
    """``value`` quoted for this platform's shell."""
    if _POWERSHELL:
        doubled = value.replace("'", "''")
        return f"'{doubled}'"
    return shlex.quote(value)


def listening(host: str, port: int) -> socket.socket:
    """A socket that queues connections, so that clients can use what is printed at once."""
    from vectorize_core.local.server.uvicorn_server import listen  # noqa: PLC0415

    try:
        return listen(host, port)
    except (socket.gaierror, UnicodeError):
        raise typer.BadParameter(f"--host {host!r} is not an address of this machine") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            fail(f"port {port} of {host} is in use; give another with --port (0 for a free one)")
        fail(f"cannot listen on port {port} of {host}: {error.strerror}")


def _check_token(token: Secret[str] | None) -> None:
    if token is None:
        return
    if " " in token.reveal():
        raise typer.BadParameter("--token must not have a space: no HTTP header could carry it")
    if not is_sendable(token.reveal()):
        raise typer.BadParameter("--token must be of printable ASCII characters, and not empty")


def _check_data(data: str) -> None:
    """Read the data before anything is announced, for an error to come first."""
    if Path(paths.absolute(data, "--data")).is_file():
        raise typer.BadParameter(f"--data {data} is a file; give a directory")
    with VectorizeClient.local(data) as client:
        client.list_indexes()


def _bindings(given: Iterable[str]) -> dict[str, str]:
    bindings: dict[str, str] = {}
    for text in given:
        name, separator, index = (part.strip() for part in text.partition("="))
        if not (name and separator and index):
            raise typer.BadParameter(f"--binding {text!r} is not BINDING=NAME")
        if bindings.setdefault(name, index) != index:
            raise typer.BadParameter(f"--binding gives {name!r} twice")
    return bindings


def _rules(file: Path) -> list[dict[str, Any]]:
    from vectorize_core.local.server import load_faults  # noqa: PLC0415

    try:
        return load_faults(file)
    except InvalidInputError as error:
        raise typer.BadParameter(f"--faults {error}") from None
