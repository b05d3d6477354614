"""The command ``wrangler``: a local Vectorize for ``wrangler dev``, which has none of its own.

The project's configuration is not touched, nor is its ``package.json``. Beside it stand a second
configuration, for ``wrangler dev --config``, and a plugin for it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from vectorize_core import paths
from vectorize_core.cli.errors import report_errors
from vectorize_core.cli.output import note
from vectorize_core.cli.wrangler_config import PLUGIN, check_installed, read_config
from vectorize_core.errors import ConfigurationError

CONFIG: Final = "wrangler.vectorize-local.jsonc"
FOLDER: Final = ".vectorize-local"
_MADE: Final = "made-from.json"
_HEAD: Final = "// Made by `vectorize-stores wrangler`"
_PACKAGE: Final = {
    "name": PLUGIN,
    "version": "1.0.0",
    "private": True,
    "type": "module",
    "main": "index.js",
}
_FILES: Final = (".gitignore", "index.js", _MADE, "package.json")


@report_errors
def wrangler(
    directory: Annotated[str, typer.Argument(metavar="DIR", help="The Worker's project.")],
    url: Annotated[
        str, typer.Option("--url", metavar="URL", help="The server, as `serve` prints it.")
    ] = "http://127.0.0.1:8989",
    remove: Annotated[
        bool, typer.Option("--remove", help="Take out what this command has written.")
    ] = False,
) -> None:
    """Write what `wrangler dev` needs to use a local Vectorize; a deployment is not affected."""
    project = Path(paths.absolute(directory, "DIR"))
    if not project.is_dir():
        raise ConfigurationError(f"{project} is no directory")
    if remove:
        _remove(project)
    else:
        _write(project, _address(url))


def _write(project: Path, address: str) -> None:
    config = read_config(project)
    bindings = config.bindings()
    if not bindings:
        raise ConfigurationError(
            f"{config.path} has no Vectorize binding: add one, such as "
            '"vectorize": [{"binding": "DOCS", "index_name": "docs"}]'
        )
    version = check_installed(project)
    local, folder = project / CONFIG, project / FOLDER
    _check_ours(local, folder)
    folder.mkdir(exist_ok=True)
    made_from = {"config": config.path.name, "sha256": config.digest}
    plugin = Path(__file__).with_name("wrangler_plugin.js").read_bytes()
    contents = (b"*\n", plugin, _json(made_from), _json(_PACKAGE))
    for name, content in zip(_FILES, contents, strict=True):
        (folder / name).write_bytes(content)
    head = f"{_HEAD} from {config.path.name}: change that, and run it again.\n".encode()
    local.write_bytes(head + _json(config.with_local_bindings(folder, address)))
    for binding in bindings:
        typer.echo(f"env.{binding['binding']} is the index {binding['index_name']} at {address}")
    note(f"with wrangler {version}: npx wrangler dev --config {CONFIG}")
    note(f"`wrangler deploy` reads {config.path.name}, which is as it was")
    note(f"{CONFIG} names paths of this machine, so do not commit it")


def _remove(project: Path) -> None:
    local, folder = project / CONFIG, project / FOLDER
    _check_ours(local, folder)
    there = [path for path in (local, *(folder / name for name in _FILES)) if path.exists()]
    for path in there:
        path.unlink()
    if folder.exists():
        folder.rmdir()
    note(f"{CONFIG} and {FOLDER} are gone" if there else "nothing to remove")


def _check_ours(local: Path, folder: Path) -> None:
    """Raise if something of the user's would be overwritten or removed."""
    if local.exists() and not local.read_bytes().startswith(_HEAD.encode()):
        raise ConfigurationError(f"{local} was not made by this command: move it away")
    others = {path.name for path in folder.iterdir()} - set(_FILES) if folder.exists() else ()
    if others:
        raise ConfigurationError(f"{folder} holds files of others: {', '.join(sorted(others))}")


def _address(url: str) -> str:
    """Host and port of a server, which a plugin can only reach without TLS."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port or 80
    except ValueError as error:
        raise ConfigurationError(f"--url is no address: {error}") from None
    if parts.scheme != "http" or not host or parts.username is not None:
        raise ConfigurationError(
            "--url is an address such as http://127.0.0.1:8989, without TLS and without a password"
        )
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _json(value: object) -> bytes:
    return f"{json.dumps(value, indent=2, default=str, ensure_ascii=False)}\n".encode()
